package campaign

import (
	"context"
	"fmt"
	"time"
)

// Progress is how far a campaign has come.
type Progress struct {
	// Contacts are all there are: those that wait, are live, and are over.
	Contacts int `json:"contacts"`
	Waiting  int `json:"waiting"`
	Live     int `json:"live"`
	Over     int `json:"over"`
	// Outcomes are what became of those that are over, Attempts of all calls.
	Outcomes map[Outcome]int   `json:"outcomes"`
	Attempts map[Outcome]int64 `json:"attempts"`

	// Pace is how many attempts were made in a second, while there were any to make;
	// zero if that is not known yet.
	Pace float64 `json:"pace"`
	// FailureShare is the part of the last attempts that failed, AbandonedShare that
	// of the last calls answered by people that were abandoned: both from 0 to 1, and
	// of as many as the limits look at. AbandonedTotal is that of all.
	FailureShare   float64 `json:"failure_share"`
	AbandonedShare float64 `json:"abandoned_share"`
	AbandonedTotal float64 `json:"abandoned_total"`
	// Slowed tells that there is one call at a time because of AbandonedShare.
	Slowed bool `json:"slowed,omitempty"`

	// Finish is an estimate of when the last contact will be over, if nobody stops:
	// from the pace and the calls per contact so far, and the hours in which the
	// contacts may be called. It is zero if that is more than sixty days away, or not
	// to be expected.
	Finish time.Time `json:"finish,omitzero"`
}

// Progress says how far a campaign has come. It counts all contacts in the store.
func (r *Runner) Progress(ctx context.Context, id string) (*Progress, error) {
	c, err := r.store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("campaign: progress: %w", err)
	}
	counts, err := r.store.Counts(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("campaign: progress: %w", err)
	}
	return c.progress(counts, time.Now()), nil
}

func (c *Campaign) progress(counts []Count, now time.Time) *Progress {
	t := &c.Tally
	p := &Progress{
		Outcomes:       make(map[Outcome]int),
		Attempts:       make(map[Outcome]int64),
		Pace:           t.pace(),
		FailureShare:   t.Failures.Share(),
		AbandonedShare: t.Abandoned.Share(),
		Slowed:         c.slowed(),
	}
	for o, n := range t.Attempts {
		p.Attempts[o] = n
	}
	if n := p.Attempts[Answered] + p.Attempts[Abandoned]; n > 0 {
		p.AbandonedTotal = float64(p.Attempts[Abandoned]) / float64(n)
	}
	for _, n := range counts {
		p.Contacts += n.N
		switch n.State {
		case Waiting:
			p.Waiting += n.N
		case Live:
			p.Live += n.N
		default:
			p.Over += n.N
			p.Outcomes[n.Outcome] += n.N
		}
	}
	if !c.State.Over() && p.Waiting+p.Live > 0 {
		p.Finish = c.estimate(p, counts, now)
	}
	return p
}

// known is how many attempts it takes to know a pace.
const known = 10

// pace is how many attempts were made in a second, or zero if that is not known.
func (t *Tally) pace() float64 {
	if n := t.Total(); n >= known && t.Working > 0 {
		return float64(n-1) / t.Working.Seconds()
	}
	return 0
}

const (
	// step is how finely an estimate looks at hours, and foresight how far.
	step      = 15 * time.Minute
	foresight = 60 * day
)

// estimate says when a campaign will be done: it goes through the time to come, and
// has the attempts that are left made at the observed pace, those that may be made
// first.
func (c *Campaign) estimate(p *Progress, counts []Count, now time.Time) time.Time {
	pace := p.Pace
	if pace == 0 {
		pace = c.CallsPerSecond
	}
	left := make(map[group]float64)
	var last time.Time
	for _, n := range counts {
		if n.State != Over {
			left[group(n.Zones)] += float64(n.N)
		}
		if n.State == Waiting && n.Due.After(last) {
			last = n.Due
		}
	}
	each := c.attemptsToCome(p)
	for g := range left {
		left[g] *= each
	}
	for t := now; t.Before(now.Add(foresight)) && len(left) > 0; t = t.Add(step) {
		room := pace * step.Seconds()
		for g := range left {
			if !g.open(c.Hours, t) {
				continue
			}
			n := min(left[g], room)
			room -= n
			if left[g] -= n; left[g] < 1e-6 {
				delete(left, g)
			}
		}
		if len(left) == 0 {
			finish := t.Add(step - time.Duration(room/pace*float64(time.Second)))
			if last.After(finish) {
				return last
			}
			return finish
		}
	}
	return time.Time{}
}

// attemptsToCome is how many attempts each contact that is not over will need, by
// those that are.
func (c *Campaign) attemptsToCome(p *Progress) float64 {
	called := p.Over - p.Outcomes[Listed] - p.Outcomes[Refused]
	if called < known {
		return 1
	}
	made := float64(c.Tally.Total())
	waiting := float64(p.Waiting + p.Live)
	per := max(1, made/(float64(called)+waiting/2)) // those that wait have had some of theirs
	return min(per, float64(c.MaxAttempts))
}
