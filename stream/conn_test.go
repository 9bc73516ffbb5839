package stream

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/switchboard-voice/switchboard/audio"
)

func TestEchoOfTenMinutesAccountsForEverySample(t *testing.T) {
	const frames, size = 30_000, 160
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines())
		l.story.onFrame = func(f *audio.Frame) {
			if f.Track == audio.Inbound {
				if n, err := l.Write(f.PCM); n != len(f.PCM) || err != nil {
					t.Errorf("Write: %d, %v", n, err)
				}
			}
		}
		l.begin()

		rnd := rand.New(rand.NewPCG(1, 2))
		var lost, doubled, swapped int64
		var want []byte
		media := func(i int) []byte {
			codes, _ := speech(i*size, size)
			return appendInbound(nil, int64(i)+2, int64(i)+1, int64(i)*20, codes)
		}
		begin := time.Now()
		var stall time.Duration
		for i := 0; i < frames; i++ {
			due := begin.Add(time.Duration(i) * 20 * time.Millisecond)
			jitter := time.Duration(rnd.IntN(15)) * time.Millisecond
			if rnd.IntN(500) == 0 {
				stall = time.Duration(rnd.IntN(2000)) * time.Millisecond // then a burst
			}
			stall = max(0, stall-20*time.Millisecond)
			if wait := time.Until(due.Add(jitter + stall)); wait > 0 {
				time.Sleep(wait)
			}
			codes, _ := speech(i*size, size)
			switch n := rnd.IntN(100); {
			case n == 0 && i > 0 && i < frames-1:
				lost++
				want = append(want, bytes.Repeat([]byte{0xFF}, size)...)
				continue
			case n == 1:
				doubled++
				l.far.sendBytes(media(i))
			case n == 2 && i > 0 && i < frames-2: // overtaken by its neighbour
				swapped++
				l.far.sendBytes(media(i + 1))
				l.far.sendBytes(media(i))
				next, _ := speech((i+1)*size, size)
				want = append(append(want, bytes.Repeat([]byte{0xFF}, size)...), next...)
				i++
				continue
			}
			l.far.sendBytes(media(i))
			want = append(want, codes...)
		}
		time.Sleep(5 * time.Second)
		l.finish()

		s := l.Stats()
		if l.story.in != frames*size {
			t.Errorf("%d samples came in, want %d", l.story.in, frames*size)
		}
		if got := (lost + swapped) * size; l.story.filled != got || s.FilledSamples != got {
			t.Errorf("filled %d, counted %d, want %d", l.story.filled, s.FilledSamples, got)
		}
		if s.Duplicates != doubled || s.Reordered != swapped {
			t.Errorf("%d duplicates, %d reordered; want %d, %d", s.Duplicates, s.Reordered, doubled, swapped)
		}
		if got := l.far.heard(); !bytes.Equal(got, want) {
			t.Errorf("the far end heard %d samples, want %d, and not the same", len(got), len(want))
		}
		if !bytes.Equal(l.story.out, want) {
			t.Errorf("the outbound tap gave %d samples, want %d, and not the same", len(l.story.out), len(want))
		}
		t.Logf("lost %d, doubled %d, swapped %d; %+v", lost, doubled, swapped, s)
	})
}

func TestLedgerAgreesWithTheEarWhenInterrupted(t *testing.T) {
	tests := []struct {
		name     string
		protocol lines
		delay    time.Duration
	}{
		{"a clear drops marks", newLines(), 0},
		{"a clear returns marks", returning(), 0},
		{"over a slow network", returning(), 150 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, &Gate{}, test.protocol)
				l.far.delay = test.delay
				l.begin()
				rnd := rand.New(rand.NewPCG(3, 4))
				var worst int64
				var heard int64 // by our reckoning
				spoken := 0
				for range 1000 {
					_, pcm := speech(spoken, 1+rnd.IntN(16_000))
					from := l.Position().Written
					l.Write(pcm)
					spoken += len(pcm)
					if rnd.IntN(2) == 0 {
						l.Mark()
					}
					time.Sleep(time.Duration(rnd.IntN(2_200_000)) * time.Microsecond)
					p := l.Clear()
					time.Sleep(test.delay)
					synctest.Wait()
					if p.Written != from+int64(len(pcm)) || l.Position().Written != p.Written {
						t.Fatalf("written: %+v then %+v", p, l.Position())
					}
					heard += max(0, p.Heard-from)
					if off := heard - l.far.samplesHeard(); max(off, -off) > worst {
						worst = max(off, -off)
					}
					time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
				}
				time.Sleep(time.Second)
				if worst > 160 {
					t.Errorf("%d samples off", worst)
				}
				told := l.story.heard
				for i := 1; i < len(told); i++ {
					if told[i].pos <= told[i-1].pos {
						t.Errorf("told of %d after %d", told[i].pos, told[i-1].pos)
					}
				}
				l.far.send("hello") // has the tap deliver
				synctest.Wait()
				if got := l.far.heard(); !bytes.Equal(l.story.out, got) {
					t.Errorf("the tap gave %d samples, heard were %d, and not the same", len(l.story.out), len(got))
				}
				l.finish()
				if n := l.Stats().Underruns; n != 0 {
					t.Errorf("%d underruns", n)
				}
				t.Logf("worst %d samples; told %d; %+v", worst, len(told), l.Stats())
			})
		})
	}
}

func TestPauseAndResumeLoseAndRepeatNothing(t *testing.T) {
	for name, protocol := range map[string]lines{
		"a clear drops marks":   newLines(),
		"a clear returns marks": returning(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, &Gate{}, protocol)
				l.begin()
				rnd := rand.New(rand.NewPCG(5, 6))
				codes, pcm := speech(0, 8000*50)
				l.Write(pcm)
				end := l.Mark()
				for range 100 {
					time.Sleep(time.Duration(rnd.IntN(600)) * time.Millisecond)
					l.Pause()
					synctest.Wait()
					before := l.far.samplesHeard()
					time.Sleep(time.Duration(rnd.IntN(600)) * time.Millisecond)
					if got := l.far.samplesHeard(); got != before {
						t.Fatalf("heard %d more in the pause", got-before)
					}
					l.Resume()
				}
				if err := l.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := l.far.heard(); !bytes.Equal(got, codes) {
					t.Errorf("heard %d samples, want %d, and not the same", len(got), len(codes))
				}
				if p := l.Position(); p.Heard != end || p.Confirmed != end || p.Written != end {
					t.Errorf("position %+v, want %d", p, end)
				}
				synctest.Wait()
				if n := len(l.story.heard); n != 1 || !l.story.heard[0].confirmed {
					t.Errorf("told %+v, want one confirmed", l.story.heard)
				}
				l.finish()
				if !bytes.Equal(l.story.out, codes) {
					t.Errorf("the tap gave %d samples, want %d, and not the same", len(l.story.out), len(codes))
				}
			})
		})
	}
}

func TestDrain(t *testing.T) {
	tests := []struct {
		name      string
		answer    func(string) []time.Duration
		delay     time.Duration
		needless  time.Duration // at most
		confirmed bool
	}{
		{"answered at once", nil, 0, 0, true},
		{"answered over a slow network", nil, 300 * time.Millisecond, 600 * time.Millisecond, true},
		{"answered late", func(string) []time.Duration { return []time.Duration{time.Second} }, 0, time.Second, true},
		{"answered too late", func(string) []time.Duration { return []time.Duration{5 * time.Second} }, 0, 2*time.Second + time.Millisecond, false},
		{"never answered", func(string) []time.Duration { return nil }, 0, 2*time.Second + time.Millisecond, false},
		{"answered twice", func(string) []time.Duration { return []time.Duration{0, time.Second} }, 0, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, &Gate{}, newLines())
				l.far.answer, l.far.delay = test.answer, test.delay
				l.begin()
				codes, pcm := speech(0, 8000*3+77)
				l.Write(pcm)
				begin := time.Now()
				if err := l.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				needless := time.Since(begin) - audio.Duration(len(pcm), 8000)
				if needless > test.needless {
					t.Errorf("waited %v longer than the audio, want %v at most", needless, test.needless)
				}
				if got := l.far.heard(); !bytes.Equal(got, codes) {
					t.Errorf("cut: heard %d of %d samples", len(got), len(codes))
				}
				synctest.Wait()
				if h := l.story.heard; len(h) != 1 || h[0].confirmed != test.confirmed || h[0].pos != int64(len(pcm)) {
					t.Errorf("told %+v", h)
				}
				time.Sleep(6 * time.Second)
				if len(l.story.heard) != 1 {
					t.Errorf("told again: %+v", l.story.heard)
				}
				if err := l.Drain(t.Context()); err != nil {
					t.Errorf("draining again: %v", err)
				}
				l.finish()
			})
		})
	}
}

func TestDrainEndsWithItsContextAClearOrTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		_, pcm := speech(0, 8000*10)
		l.Write(pcm)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context: %v", err)
		}
		drained := make(chan error)
		go func() { drained <- l.Drain(t.Context()) }()
		synctest.Wait()
		l.Clear()
		if err := <-drained; err != ErrCleared {
			t.Errorf("clear: %v", err)
		}
		if err := l.Drain(t.Context()); err != nil {
			t.Errorf("after a clear: %v", err)
		}
		l.Write(pcm)
		go func() { drained <- l.Drain(t.Context()) }()
		synctest.Wait()
		l.finish()
		if err := <-drained; err != ErrClosed {
			t.Errorf("end: %v", err)
		}
		if len(l.story.heard) != 0 {
			t.Errorf("told %+v", l.story.heard)
		}
	})
}

func TestFastProducerIsPacedAndHeldAtTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Buffer: 5 * time.Second}
		l := newLine(t, g, newLines()).begin()
		codes, pcm := speech(0, 8000*60)
		begin := time.Now()
		written := make(chan error, 1)
		go func() {
			_, err := l.Write(pcm)
			written <- err
		}()
		synctest.Wait()
		p := l.Position()
		if ahead := p.Written - p.Sent; ahead > 5*8000 {
			t.Errorf("%d samples wait", ahead)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		// All but the buffer and the lead has been played by then.
		if took, want := time.Since(begin), 55*time.Second-200*time.Millisecond; took < want-40*time.Millisecond || took > want+40*time.Millisecond {
			t.Errorf("took %v, want %v", took, want)
		}
		if err := l.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.far.heard(); !bytes.Equal(got, codes) {
			t.Errorf("heard %d of %d", len(got), len(codes))
		}
		if took := time.Since(begin); took > 60*time.Second+time.Millisecond {
			t.Errorf("underrun: %v for 60 s", took)
		}
		if l.far.most > 200*time.Millisecond {
			t.Errorf("%v unplayed, want 200ms at most", l.far.most)
		}
		l.finish()
		t.Logf("most unplayed %v; %+v", l.far.most, l.Stats())
	})
}

func TestWriteIsOvertakenByClearAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{Buffer: time.Second}, newLines()).begin()
		_, pcm := speech(0, 8000*10)
		type result struct {
			n   int
			err error
		}
		written := make(chan result)
		write := func() {
			n, err := l.Write(pcm)
			written <- result{n, err}
		}
		go write()
		synctest.Wait()
		p := l.Clear()
		if r := <-written; r.err != ErrCleared || int64(r.n) != p.Written {
			t.Errorf("clear: %+v, position %+v", r, p)
		}
		go write()
		synctest.Wait()
		l.Close(nil)
		if r := <-written; r.err != ErrClosed {
			t.Errorf("close: %+v", r)
		}
		if err := <-l.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := l.Write(pcm); err != ErrClosed {
			t.Errorf("after the end: %v", err)
		}
		l.hangUp()
	})
}

func TestShortRestWaitsForOnePacketUnlessMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		_, pcm := speech(0, 100)
		begin := time.Now()
		l.Write(pcm)
		synctest.Wait()
		if l.far.packets() != 0 {
			t.Error("a rest was sent at once")
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if l.far.packets() != 1 {
			t.Error("a rest was not sent after 20 ms")
		}
		_ = begin
		l.Write(pcm)
		l.Mark()
		synctest.Wait()
		if l.far.packets() != 2 {
			t.Error("a mark did not flush")
		}
		_, frame := speech(0, 160)
		l.Write(frame)
		synctest.Wait()
		if l.far.packets() != 3 {
			t.Error("a packet waited")
		}
		l.finish()
	})
}

func TestEndOfAStream(t *testing.T) {
	reason := errors.New("enough")
	refused := errors.New("not today")
	tests := []struct {
		name string
		gate *Gate
		do   func(l *line, cancel context.CancelCauseFunc)
		want error
		code int           // the far end is told; 0: nothing
		took time.Duration // at most, virtual
	}{
		{"stop is orderly", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("start mulaw")
			l.far.send("stop")
		}, nil, websocket.CloseNormalClosure, 0},
		{"close is orderly", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("start mulaw")
			l.far.write(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		}, nil, websocket.CloseNormalClosure, 0},
		{"close before the start is not", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.write(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		}, ErrNoStart, websocket.ClosePolicyViolation, 0},
		{"a broken connection is lost", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("start mulaw")
			l.far.ws.Close()
		}, ErrLost, 0, 0},
		{"no start", &Gate{}, func(*line, context.CancelCauseFunc) {}, ErrNoStart, websocket.ClosePolicyViolation, 5 * time.Second},
		{"no start among other messages", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("hello")
			l.far.sendBytes(appendInbound(nil, 1, 1, 0, make([]byte, 160)))
		}, ErrNoStart, websocket.ClosePolicyViolation, 5 * time.Second},
		{"a start of its own time", &Gate{StartTimeout: time.Second}, func(*line, context.CancelCauseFunc) {}, ErrNoStart, websocket.ClosePolicyViolation, time.Second},
		{"unknown format", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("start opus")
		}, ErrFormat, websocket.CloseUnsupportedData, 0},
		{"refused by the handler", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.story.refuse = refused
			l.far.send("start mulaw")
		}, refused, websocket.ClosePolicyViolation, 0},
		{"too many bad messages", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("start mulaw")
			for range 21 {
				l.far.send("nonsense")
			}
		}, ErrTooManyBad, websocket.ClosePolicyViolation, 0},
		{"binary messages on a text protocol", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			for range 21 {
				l.far.write(websocket.BinaryMessage, []byte("start mulaw"))
			}
		}, ErrTooManyBad, websocket.ClosePolicyViolation, 0},
		{"a message too long", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.sendBytes(make([]byte, 64<<10+1))
		}, ErrProtocol, websocket.CloseMessageTooBig, 0},
		{"the context", &Gate{}, func(l *line, cancel context.CancelCauseFunc) {
			l.far.send("start mulaw")
			cancel(reason)
		}, reason, websocket.CloseNormalClosure, 0},
		{"Close", &Gate{}, func(l *line, _ context.CancelCauseFunc) {
			l.far.send("start mulaw")
			l.Close(reason)
		}, reason, websocket.CloseNormalClosure, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, test.gate, newLines())
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				begin := time.Now()
				l.run(ctx)
				test.do(l, cancel)
				err := <-l.ended
				if !errors.Is(err, test.want) || test.want == nil && err != nil {
					t.Errorf("Run: %v, want %v", err, test.want)
				}
				if took := time.Since(begin); took > test.took+time.Millisecond {
					t.Errorf("took %v", took)
				}
				l.hangUp()
				if l.far.code != test.code {
					t.Errorf("the far end was told %d, want %d", l.far.code, test.code)
				}
				if l.gate.pending != 0 {
					t.Errorf("%d pending", l.gate.pending)
				}
			})
		})
	}
}

func TestBadMessagesNowAndThenAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		for range 100 {
			l.far.send("nonsense")
			time.Sleep(time.Second / 2)
		}
		l.finish()
		if got := l.Stats().BadMessages; got != 100 {
			t.Errorf("%d bad messages", got)
		}
	})
}

func TestHalfOpenConnectionEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		// The far end takes bytes and says nothing any more.
		l.far.ws.SetReadDeadline(time.Now())
		<-l.far.done
		go func() {
			buf := make([]byte, 4096)
			for {
				if _, err := l.far.ws.NetConn().Read(buf); err != nil {
					return
				}
			}
		}()
		l.far.ws.NetConn().SetReadDeadline(time.Time{})
		begin := time.Now()
		if err := <-l.ended; !errors.Is(err, ErrIdle) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(begin); took > 15*time.Second+2*time.Millisecond {
			t.Errorf("took %v", took)
		}
		l.hangUp()
	})
}

func TestQuietFarEndThatAnswersPingsLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		codes, pcm := speech(0, 8000)
		l.Write(pcm)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !bytes.Equal(l.story.out, codes) {
			t.Errorf("pongs did not bring out what was heard: %d of %d", len(l.story.out), len(codes))
		}
		if l.far.pings != 12 {
			t.Errorf("%d pings in a minute", l.far.pings)
		}
		l.finish()
	})
}

func TestStalledPeerEndsItsStreamOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{}
		stalled, healthy := newLine(t, g, newLines()), newLine(t, g, newLines())
		healthy.begin()
		go func() { stalled.ended <- stalled.Run(t.Context(), stalled.story) }()
		stalled.far.send("start mulaw") // and nobody reads
		<-stalled.story.started
		codes, pcm := speech(0, 8000*10)
		begin := time.Now()
		go stalled.Write(pcm)
		healthy.Write(pcm)
		if err := <-stalled.ended; !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(begin); took > 2*time.Second+2*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if err := healthy.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 10*time.Second+time.Millisecond {
			t.Errorf("the other took %v for 10 s", took)
		}
		if !bytes.Equal(healthy.far.heard(), codes) {
			t.Error("the other did not hear all")
		}
		stalled.far.ws.Close()
		healthy.finish()
	})
}

func TestOutOfPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines())
		l.run(t.Context())
		if _, err := l.Write(make([]int16, 1)); err != ErrNotStarted {
			t.Errorf("Write before the start: %v", err)
		}
		if err := l.SendKeys("1"); err != ErrNotStarted {
			t.Errorf("SendKeys before the start: %v", err)
		}
		l.Clear()
		l.Pause()
		l.Resume()
		if err := l.Drain(t.Context()); err != nil {
			t.Errorf("Drain before the start: %v", err)
		}
		l.far.sendBytes(appendInbound(nil, 1, 1, 0, make([]byte, 160)))
		l.far.send("key 1")
		l.far.send("mark 7")
		l.far.send("start mulaw")
		<-l.story.started
		l.far.send("start linear")
		l.far.send("mark 7")
		l.far.send("key #")
		l.far.sendBytes(appendInbound(nil, 2, 1, 0, nil))
		synctest.Wait()
		if l.Format() != audio.Telephone || l.story.in != 0 || string(l.story.keys) != "#" {
			t.Errorf("format %v, %d samples, keys %q", l.Format(), l.story.in, l.story.keys)
		}
		if err := l.SendKeys("12x"); err != ErrKeys {
			t.Errorf("SendKeys: %v", err)
		}
		if err := l.SendKeys("12#"); err != nil {
			t.Errorf("SendKeys: %v", err)
		}
		if err := l.SendText([]byte("x")); err != errors.ErrUnsupported {
			t.Errorf("SendText: %v", err)
		}
		synctest.Wait()
		if len(l.far.other) != 1 || l.far.other[0] != "keys 12#" {
			t.Errorf("sent %q", l.far.other)
		}
		if err := l.Run(t.Context(), l.story); err != ErrClosed {
			t.Errorf("second Run: %v", err)
		}
		s := l.Stats()
		if s.Ignored != 4 || s.BadMessages != 1 || s.MarksUnknown != 1 {
			t.Errorf("%+v", s)
		}
		l.finish()
	})
}

func TestNothingIsSentAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		_, pcm := speech(0, 8000*5)
		l.Write(pcm)
		synctest.Wait()
		before := l.far.packets()
		l.far.send("stop")
		synctest.Wait()
		l.Clear()
		l.Mark()
		l.SendKeys("1")
		time.Sleep(time.Second)
		if l.far.packets() != before || l.far.clears != 0 || len(l.far.marks) != 0 || len(l.far.other) != 0 {
			t.Error("something was sent after stop")
		}
		if err := <-l.ended; err != nil {
			t.Error(err)
		}
		l.hangUp()
	})
}

func TestLeadIsRespectedWhenChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		_, pcm := speech(0, 8000*20)
		l.SetLead(time.Second)
		l.Write(pcm)
		synctest.Wait()
		if l.far.most != time.Second {
			t.Errorf("%v unplayed, want 1s", l.far.most)
		}
		l.SetLead(40 * time.Millisecond)
		time.Sleep(2 * time.Second)
		l.far.mu.Lock()
		l.far.most = 0
		l.far.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if l.far.most > 40*time.Millisecond || l.far.most < 20*time.Millisecond {
			t.Errorf("%v unplayed, want 40ms", l.far.most)
		}
		l.finish()
		if n := l.Stats().Underruns; n != 0 {
			t.Errorf("%d underruns", n)
		}
	})
}

func TestRestDoesNotLetTheFarEndRunDry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		begin := time.Now()
		codes, pcm := speech(0, 200) // a packet and a quarter
		l.Write(pcm)
		time.Sleep(time.Until(begin.Add(25*time.Millisecond + 1)))
		synctest.Wait()
		if got := l.far.heard(); !bytes.Equal(got, codes) {
			t.Errorf("heard %d of %d samples after 25 ms", len(got), len(codes))
		}
		l.finish()
	})
}

func TestEverybodyWritesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{Buffer: time.Second}, returning()).begin()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var all sync.WaitGroup
		often := func(f func()) {
			all.Go(func() {
				for ctx.Err() == nil {
					f()
					time.Sleep(7 * time.Millisecond)
				}
			})
		}
		_, pcm := speech(0, 500)
		often(func() { l.Write(pcm) })
		often(func() { l.Mark() })
		often(func() { l.SendKeys("1") })
		often(func() { l.Position() })
		often(func() { l.Stats() })
		often(func() { l.Pause() })
		often(func() { l.Resume() })
		often(func() { l.SetLead(50 * time.Millisecond) })
		often(func() { l.Drain(ctx) })
		all.Go(func() {
			for ctx.Err() == nil {
				l.Clear()
				time.Sleep(313 * time.Millisecond)
			}
		})
		all.Go(func() {
			for i := int64(0); ctx.Err() == nil; i++ {
				l.far.sendBytes(appendInbound(nil, i, i, i*20, make([]byte, 160)))
				l.far.write(websocket.PingMessage, []byte("x"))
				time.Sleep(20 * time.Millisecond)
			}
		})
		all.Go(func() {
			<-ctx.Done()
			time.Sleep(10 * time.Millisecond)
			l.Clear() // a last Pause may hold a Write
		})
		all.Wait()
		l.finish()
		if l.far.clears == 0 || l.far.packets() == 0 || len(l.far.other) == 0 {
			t.Errorf("%d clears, %d packets, %d keys", l.far.clears, l.far.packets(), len(l.far.other))
		}
		if got := l.far.heard(); len(l.story.out) != len(got) {
			t.Errorf("the tap gave %d samples, heard were %d", len(l.story.out), len(got))
		}
	})
}

func TestPanicOfAHandlerLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines())
		l.story.onFrame = func(*audio.Frame) { panic("agent") }
		go func() {
			defer func() {
				if recover() != "agent" {
					t.Error("no panic")
				}
				l.ended <- nil
			}()
			l.Run(t.Context(), l.story)
		}()
		go l.far.listen()
		l.far.send("start mulaw")
		l.far.sendBytes(appendInbound(nil, 2, 1, 0, make([]byte, 160)))
		<-l.ended
		if _, err := l.Write(make([]int16, 160)); err != ErrClosed {
			t.Errorf("Write: %v", err)
		}
		l.hangUp()
	})
}

func TestMessageInEndlessFragmentsIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		begin := time.Now()
		var fragments sync.WaitGroup
		fragments.Go(func() {
			fragment := []byte{0x01, 0x81, 0, 0, 0, 0, 'x'}
			for {
				l.far.writing.Lock()
				_, err := l.far.ws.NetConn().Write(fragment)
				l.far.writing.Unlock()
				if err != nil {
					return
				}
				fragment[0] = 0
				time.Sleep(time.Second)
			}
		})
		if err := <-l.ended; !errors.Is(err, ErrIdle) {
			t.Errorf("Run: %v", err)
		}
		// Pings are answered, which is a sign of life, but not for ever.
		if took := time.Since(begin); took > 25*time.Second {
			t.Errorf("took %v", took)
		}
		l.hangUp()
		fragments.Wait()
	})
}

func TestFarEndIsClearedOnlyOfWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		clears := func() int {
			synctest.Wait()
			l.far.mu.Lock()
			defer l.far.mu.Unlock()
			return l.far.clears
		}
		l.Clear()
		if n := clears(); n != 0 {
			t.Errorf("%d clears before anything was sent", n)
		}
		l.Write(make([]int16, 1600))
		synctest.Wait()
		l.Pause()
		synctest.Wait()
		l.Clear()
		synctest.Wait()
		l.Clear()
		if n := clears(); n != 1 {
			t.Errorf("%d clears, want 1", n)
		}
		l.finish()
	})
}

func TestNoPingsWhileMediaComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		for i := range int64(1500) {
			l.far.sendBytes(appendInbound(nil, i+2, i+1, i*20, make([]byte, 160)))
			time.Sleep(20 * time.Millisecond)
		}
		l.finish()
		if l.far.pings != 0 {
			t.Errorf("%d pings", l.far.pings)
		}
	})
}

func TestQuietStreamHasNoWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		writing := func() bool {
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.writing
		}
		if writing() {
			t.Error("there is one at the start")
		}
		_, pcm := speech(0, 8000)
		l.Write(pcm)
		if !writing() {
			t.Error("there is none while audio waits")
		}
		if err := l.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if writing() {
			t.Error("there is one after all was heard")
		}
		time.Sleep(7 * time.Second) // a ping
		if writing() || l.far.pings != 1 {
			t.Errorf("%d pings, and a writer: %v", l.far.pings, writing())
		}
		_, frame := speech(0, 160)
		l.Write(frame) // sent by ourselves
		if writing() || l.far.packets() != 51 {
			t.Errorf("%d packets, and a writer: %v", l.far.packets(), writing())
		}
		l.finish()
	})
}
