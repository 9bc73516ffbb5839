package stream

import (
	"sync"

	"github.com/switchboard-voice/switchboard/audio"
)

// A desk is where a message is worked on. It is borrowed for as long as that
// takes: hundreds of streams then work on a few desks, which stay in the
// processor's cache, and a quiet stream has none.
type desk struct {
	// Of whoever reads.
	msg    Message
	frame  audio.Frame
	pcm    []int16 // one frame
	tapped []byte  // one outbound frame

	// Of whoever writes.
	message []byte // behind room for its header
	packet  []byte // audio of a message that lies in two pieces in the ring
}

const keepDesk = 64 << 10 // the longest message whose memory is kept

var desks = sync.Pool{New: func() any { return new(desk) }}

// borrowDesk returns a desk for frames of up to n samples.
func borrowDesk(n int) *desk {
	d := desks.Get().(*desk)
	if len(d.pcm) < n {
		d.pcm = make([]int16, n)
	}
	return d
}

func (d *desk) giveBack() {
	if cap(d.message) <= keepDesk {
		desks.Put(d)
	}
}
