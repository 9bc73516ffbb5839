package routing

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
)

// Weighted spreads calls among agents at random, in given shares: three calls of
// four to one agent, one to another. The same Seed gives the same choices to the
// same sequence of calls.
//
// A Weighted must not be copied.
type Weighted struct {
	Shares []Share
	Seed   uint64
	// Staff, if there is one, counts the calls; the share of an agent who has no
	// room falls to the others.
	Staff *Staff

	drawn atomic.Uint64
}

// Share is how many of the calls an agent gets: Weight of the sum of all weights.
type Share struct {
	AgentID string
	Weight  uint32
}

// Route draws an agent. It has no opinion if none that has a weight has room.
func (p *Weighted) Route(context.Context, *Request) (Decision, error) {
	var total uint64
	for _, s := range p.Shares {
		total += uint64(s.Weight)
	}
	draw := mix(p.Seed + p.drawn.Add(1)*increment)
	shares, sum := p.Shares, total
	for total > 0 {
		i := pick(shares, total, draw)
		s := shares[i]
		d := Decision{AgentID: s.AgentID, Reason: fmt.Sprintf("drawn with %d of %d", s.Weight, sum)}
		if p.Staff == nil {
			return d, nil
		}
		l, err := p.Staff.Take(s.AgentID)
		if err == nil {
			d.Lease = l
			return d, nil
		}
		draw = mix(draw)
		total -= uint64(s.Weight)
		shares = join(shares[:i], shares[i+1:])
	}
	return Decision{}, Pass(fmt.Sprintf("none of %d agents has room", len(p.Shares)))
}

// pick returns which share a draw of 64 random bits falls into.
func pick(shares []Share, total, draw uint64) int {
	at, _ := bits.Mul64(draw, total)
	i := 0
	for at >= uint64(shares[i].Weight) {
		at -= uint64(shares[i].Weight)
		i++
	}
	return i
}

// increment and mix are those of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, OOPSLA 2014), of which any number can be had
// without those before.
const increment = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (p *Weighted) policy() string { return "weighted" }

// Validate checks that there are agents with weights.
func (p *Weighted) Validate() error {
	var total uint64
	for _, s := range p.Shares {
		if s.AgentID == "" {
			return errors.New("routing: a share has no agent")
		}
		total += uint64(s.Weight)
	}
	if total == 0 {
		return errors.New("routing: all weights are zero")
	}
	return nil
}
