package call

import (
	"sync"
	"testing"

	"github.com/switchboard-voice/switchboard/audio"
)

// What listeners hear costs the media path, and a browser's socket, no allocation,
// whether they keep up or not.
func TestListenersAllocateNothing(t *testing.T) {
	pcm := make([]int16, 160)
	frames := []audio.Frame{
		{Track: audio.Inbound, Format: audio.Telephone, PCM: pcm},
		{Track: audio.Outbound, Format: audio.Telephone, PCM: pcm},
	}
	var ls listeners
	for range maxListeners {
		x := newListener(nil, audio.Telephone, listenBuffer)
		if err := ls.add(x); err != nil {
			t.Fatal(err)
		}
	}
	reader := ls.all[0]
	var e earpiece
	e.prepare(audio.Telephone.Rate)
	if n := testing.AllocsPerRun(1000, func() {
		for i := range frames {
			ls.write(&frames[i])
			f, err := reader.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			e.mix(f)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Who listens hears each frame as it was, while others come and go.
func TestListenersComeAndGoWhileFramesPass(t *testing.T) {
	var ls listeners
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				x := newListener(nil, audio.Telephone, listenBuffer)
				if ls.add(x) != nil {
					continue
				}
				f, err := x.ReadFrame()
				if err != nil || len(f.PCM) != 160 || f.PCM[0] != f.PCM[159] {
					t.Error("a frame was changed")
				}
				x.end()
				ls.remove(x)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	pcm := make([]int16, 160)
	for n := int16(0); ; n++ {
		for i := range pcm {
			pcm[i] = n
		}
		ls.write(&audio.Frame{Format: audio.Telephone, PCM: pcm})
		select {
		case <-done:
			return
		default:
		}
	}
}
