package stream

import "sync"

// A desk is where a message to be sent is made. It is borrowed from then until it
// has been sent: so a quiet stream has none. What comes in, and is shown to
// handlers, lies in memory of the stream's own instead: who keeps what was
// borrowed must not hear another call.
type desk struct {
	message []byte // behind room for its header
	packet  []byte // audio of a message that lies in two pieces in the ring
}

const keepDesk = 64 << 10 // the longest message whose memory is kept

var desks = sync.Pool{New: func() any { return new(desk) }}

func (d *desk) giveBack() {
	if cap(d.message) <= keepDesk {
		desks.Put(d)
	}
}
