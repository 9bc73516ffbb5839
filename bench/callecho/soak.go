package callecho

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Soak keeps a server busy with calls that begin and end all the time.
type Soak struct {
	Calls  int           // at once
	Warm   time.Duration // of the same, before the first look
	Span   time.Duration
	Settle time.Duration // how long to wait for what ends by itself
}

// A Look is what a server holds while no call is there.
type Look struct {
	Stats
	Files int // descriptors
}

// Soaked is what a soak has found.
type Soaked struct {
	Before, After Look
	Calls         int64 // in between
	// How those ended: the carrier said so, its socket was cut, or the server
	// hung up.
	Stopped, Cut, HungUp int64
	// Broken are calls that ended otherwise, Why the first of them.
	Broken int64
	Why    error
}

// Growth is how many bytes of live memory a call has left behind.
func (s Soaked) Growth() float64 {
	return (float64(s.After.Live) - float64(s.Before.Live)) / float64(max(s.Calls, 1))
}

// Soak has the whole product bear calls for long, and looks what is left of
// them. told hears how it goes on.
func (s *Starter) Soak(soak Soak, speech []int16, told func(calls int64, now Stats)) (found Soaked, err error) {
	child, err := s.Start(Restless)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	script, err := newScript(speech)
	if err != nil {
		return found, err
	}
	c := &churn{gen: Generator{mode: Restless, addr: child.Addr, script: script, epoch: time.Now()}}
	c.run(soak.Calls, soak.Warm, nil)
	if found.Before, err = child.look(soak.Settle, 0); err != nil {
		return found, err
	}
	c.ended, c.stopped, c.cut, c.hungUp = atomic.Int64{}, atomic.Int64{}, atomic.Int64{}, atomic.Int64{}
	c.run(soak.Calls, soak.Span, func() error {
		now, err := child.Stats(true)
		if err == nil {
			told(c.ended.Load(), now)
		}
		return err
	})
	if found.After, err = child.look(soak.Settle, found.Before.Goroutines); err != nil {
		return found, err
	}
	found.Calls = c.ended.Load()
	found.Stopped, found.Cut, found.HungUp = c.stopped.Load(), c.cut.Load(), c.hungUp.Load()
	found.Broken = c.gen.failed.Load()
	if why := c.gen.failure.Load(); why != nil {
		found.Why = *why
	}
	return found, nil
}

// look says what the server holds: when its goroutines are down to enough, or
// after all of the time.
func (c *Child) look(settle time.Duration, enough int) (l Look, err error) {
	for end := time.Now().Add(settle); ; {
		time.Sleep(time.Second)
		if l.Stats, err = c.Stats(true); err != nil {
			return l, err
		}
		if l.Goroutines <= enough || time.Now().After(end) {
			l.Files, err = c.Files()
			return l, err
		}
	}
}

// churn is the carrier's side of a soak.
type churn struct {
	gen                         Generator // of its calls: what to say, and what failed
	ended, stopped, cut, hungUp atomic.Int64
	number                      atomic.Int64
}

// run keeps so many calls up for a while. Ten times meanwhile it asks watch.
func (c *churn) run(calls int, span time.Duration, watch func() error) {
	var all sync.WaitGroup
	begin := time.Now()
	for i := range calls {
		all.Go(func() {
			time.Sleep(time.Duration(i) * 5 * time.Millisecond) // not all at once
			for time.Since(begin) < span {
				if err := c.call(min(time.Duration(1+rand.ExpFloat64()*10)*time.Second, span-time.Since(begin))); err != nil {
					c.gen.fail(err)
					time.Sleep(time.Second)
				}
			}
		})
	}
	if watch != nil {
		for i := range 10 {
			time.Sleep(time.Until(begin.Add(span * time.Duration(i+1) / 11)))
			if err := watch(); err != nil {
				c.gen.fail(err)
				break
			}
		}
	}
	all.Wait()
}

var markEvent = []byte(`"event":"mark"`)

// call is one call, which the carrier ends after so long in one of three ways,
// unless the server does before.
func (c *churn) call(length time.Duration) error {
	line, err := dial(&c.gen, int(c.number.Add(1)))
	if err != nil {
		return err
	}
	defer line.conn.Close()
	line.answersMarks = rand.IntN(4) > 0 // or they are overdue
	ended := make(chan error, 1)
	go func() { ended <- line.listen() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(length); time.Now().Before(end); {
		select {
		case err := <-ended:
			return c.over(err)
		case <-tick.C:
		}
		if rand.IntN(100) == 0 {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // the network stalls
		}
		if err := line.say(); err != nil {
			return c.over(<-ended) // it has hung up, or why not
		}
	}
	how := &c.stopped
	switch rand.IntN(3) {
	case 0:
		err = line.send(opText, []byte(`{"event":"stop"}`))
	case 1:
		err = line.send(opClose, binary.BigEndian.AppendUint16(nil, 1000))
	case 2:
		how = &c.cut
		err = line.conn.Close()
	}
	if err == nil {
		err = <-ended
	}
	var said hangup
	if err == nil || errors.As(err, &said) || how == &c.cut {
		how.Add(1)
		c.ended.Add(1)
		return nil
	}
	return c.over(err)
}

// over counts a call that the server ended.
func (c *churn) over(err error) error {
	var said hangup
	if err != nil && !errors.As(err, &said) {
		return err
	}
	c.hungUp.Add(1)
	c.ended.Add(1)
	return nil
}

// A hangup is the server's close.
type hangup struct{ code int }

func (h hangup) Error() string { return fmt.Sprintf("callecho: server closes with %d", h.code) }

// readHangup reads the payload of a close: one that says that all is well.
func readHangup(payload []byte) error {
	code := 1005
	if len(payload) >= 2 {
		code = int(binary.BigEndian.Uint16(payload))
	}
	if code != 1000 && code != 1005 {
		return fmt.Errorf("callecho: server closes with %d", code)
	}
	return hangup{code}
}

// send sends a message, or what controls the socket.
func (c *caller) send(opcode byte, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame := seal(append(make([]byte, headerRoom), payload...))
	frame[0] = 0x80 | opcode
	_, err := c.conn.Write(frame)
	return err
}

// answerMark returns a mark, as a carrier does.
func (c *caller) answerMark(message []byte) error {
	if !c.answersMarks || !bytes.Contains(message, markEvent) {
		return nil
	}
	return c.send(opText, message)
}
