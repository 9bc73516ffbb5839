package sim

import (
	"net/url"
	"sync"
	"time"
)

// A hook is one request to the application that needs no answer.
type hook struct {
	method, url string
	params      url.Values
	token       string // the same for each delivery
	status      bool   // of the call or of a recording: faults apply
	final       bool
	chance      *chance // nil for the postman's
}

// A postman delivers the hooks of one call, one after the other, in a goroutine
// that lives as long as there are any. There are no more of them than the call
// has statuses and streams.
type postman struct {
	call   *call
	chance chance

	mu      sync.Mutex
	number  int // of the next status
	queue   []hook
	running bool

	kept *hook // to be sent after the next one; only for run
}

// sequence numbers the statuses.
func (p *postman) sequence() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	return p.number - 1
}

func (p *postman) push(h hook) {
	carrier := p.call.carrier
	if h.url == "" || carrier.quiet.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, h)
	if !p.running {
		p.running = carrier.start(p.run) == nil
	}
}

func (p *postman) run() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		h := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		p.deliver(h)
	}
}

func (p *postman) deliver(h hook) {
	carrier := p.call.carrier
	if !h.status {
		p.send(h)
		return
	}
	f, dice := &p.call.faults, &p.chance
	if h.chance != nil {
		dice = h.chance
	}
	lost, doubled := dice.hits(f.CallbackLost), dice.hits(f.CallbackDoubled)
	reordered, late := dice.hits(f.CallbackReordered), dice.hits(f.CallbackLate)
	switch {
	case lost:
		carrier.fire(FaultCallbackLost)
	case late:
		_ = carrier.start(func() { // after Close nothing is sent
			if sleep(carrier.ctx, orElse(f.CallbackDelay, 2*time.Second)) {
				carrier.fire(FaultCallbackLate)
				p.send(h)
			}
		})
	case reordered && p.kept == nil && !h.final:
		p.kept = &h
		return
	default:
		p.send(h)
		if doubled {
			carrier.fire(FaultCallbackDoubled)
			p.send(h)
		}
	}
	if p.kept != nil {
		carrier.fire(FaultCallbackReordered)
		kept := *p.kept
		p.kept = nil
		p.send(kept)
	}
}

// send delivers h. It outlives the call, but not the carrier.
func (p *postman) send(h hook) {
	p.call.deliver(p.call.carrier.ctx, h)
}
