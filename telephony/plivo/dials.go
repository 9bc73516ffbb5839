package plivo

import (
	"sync"

	"github.com/switchboard-voice/switchboard/telephony"
)

// rememberedDials is how many dials are remembered. The oldest is forgotten
// first; then it can be found by the id of its call only.
const rememberedDials = 4096

// dials remembers which calls came of the latest dials. The zero value is ready
// for use, by many goroutines at once.
type dials struct {
	mu     sync.Mutex
	byID   map[string]dialed
	oldest []string // a ring, in the order of the dials
	next   int
}

type dialed struct {
	to   telephony.Number
	call string // empty until a webhook or a reply has told
}

// add remembers a dial that was accepted.
func (d *dials) add(request string, to telephony.Number) {
	d.note(request, func(known *dialed) { known.to = to })
}

// learn notes which call came of a dial, also if that overtakes the reply to it.
func (d *dials) learn(request, call string) {
	if request != "" && call != "" {
		d.note(request, func(known *dialed) { known.call = call })
	}
}

func (d *dials) note(request string, change func(known *dialed)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.byID[request]
	if !ok {
		if d.byID == nil {
			d.byID = make(map[string]dialed)
			d.oldest = make([]string, rememberedDials)
		}
		delete(d.byID, d.oldest[d.next])
		d.oldest[d.next] = request
		d.next = (d.next + 1) % rememberedDials
	}
	change(&known)
	d.byID[request] = known
}

// get returns what is known of a dial. pending tells that it is remembered, and
// its call is not known yet.
func (d *dials) get(request string) (known dialed, pending bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.byID[request]
	return known, ok && known.call == ""
}
