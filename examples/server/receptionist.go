package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// receptionist is an agent that answers the phone of a small company. Callers
// cut it off by talking or with a key, which the session sees to.
type receptionist struct {
	// transferTo is the number of somebody who can talk; may be empty.
	transferTo telephony.Number
}

// patience is how long the receptionist waits for a caller who says nothing.
const patience = 20 * time.Second

// Serve greets the caller and does what the keys say. When it returns, what it
// has said last is played to its end, and then the call is hung up.
func (r receptionist) Serve(ctx context.Context, s *call.Session) error {
	d, err := newDesk(s)
	if err != nil {
		return err
	}
	d.say("welcome")
	if s.Call().Options.Record {
		d.say("recorded")
	}
	d.say("menu")
	for asked := false; ; {
		key, err := d.wait(patience)
		switch {
		case err == io.EOF:
			return nil // the caller has hung up
		case err != nil:
			return err
		case key == 0 && asked:
			key = '9'
		case key == 0:
			asked = true
			d.say("still")
			continue
		}
		asked = false
		switch key {
		case '1':
			d.say("hours")
		case '2':
			d.takeMessage()
		case '0':
			r.transfer(ctx, d)
		case '9':
			d.say("goodbye")
			return nil
		default:
			d.say("menu")
		}
	}
}

// transfer connects the caller to somebody, if there is anybody. A caller who is
// not connected is told so, and can choose anew.
func (r receptionist) transfer(ctx context.Context, d *desk) {
	if r.transferTo == "" {
		d.say("nobody")
		return
	}
	d.say("connect")
	if _, err := d.last.Wait(ctx); err != nil {
		return
	}
	err := d.session.Transfer(ctx, call.Transfer{To: r.transferTo})
	if err == nil || ctx.Err() != nil {
		return
	}
	d.session.Log("transfer failed", map[string]string{"why": why(err)})
	d.say(apology(err))
}

// apology is the prompt for a caller who was not connected.
func apology(err error) string {
	var unreached *call.TransferError
	if errors.As(err, &unreached) {
		switch unreached.State {
		case call.Busy:
			return "busy"
		case call.NoAnswer:
			return "noanswer"
		}
	}
	return "nobody"
}

// why is a word for what kept two people apart.
func why(err error) string {
	var unreached *call.TransferError
	switch {
	case errors.As(err, &unreached):
		return unreached.State.String()
	case errors.Is(err, call.ErrNotAllowed):
		return "not_allowed"
	}
	return "refused"
}

// desk is a receptionist at work on one call. The caller's sound is its clock:
// it comes all the time, whether the caller speaks or not.
type desk struct {
	session *call.Session
	line    *call.Line
	ears    *audio.Detector
	last    *call.Speech // what was said last
}

func newDesk(s *call.Session) (*desk, error) {
	rate := s.Format().Rate
	ears, err := audio.NewDetector(audio.DetectorConfig{Rate: rate})
	if err != nil {
		return nil, err
	}
	return &desk{session: s, line: s.Line(rate), ears: ears}, nil
}

// say says prompts, one after the other, and does not wait for them.
func (d *desk) say(names ...string) {
	for _, name := range names {
		d.last = d.session.Say(prompts[name].utterance())
	}
}

// wait returns the next key, or 0 when neither side has spoken for so long. At
// the end of the call the error is io.EOF.
func (d *desk) wait(patience time.Duration) (key byte, err error) {
	var quiet time.Duration
	var buf [160]int16
	for quiet < patience {
		select {
		case key, ok := <-d.session.Keys():
			if !ok {
				return 0, io.EOF
			}
			return key, nil
		default:
		}
		n, err := d.line.ReadPCM(buf[:])
		if err != nil {
			return 0, err
		}
		d.ears.Append(nil, buf[:n])
		quiet += audio.Duration(n, d.line.Rate())
		if d.ears.Speaking() || d.talking() {
			quiet = 0
		}
	}
	return 0, nil
}

// talking reports whether the caller still has something to hear.
func (d *desk) talking() bool {
	select {
	case <-d.last.Done():
		return false
	default:
		return true
	}
}

// takeMessage lets the caller speak until a hash key or a long silence. The
// message is part of the call's recording; events tell where.
func (d *desk) takeMessage() {
	d.say("message", "tone")
	start := d.session.Now()
	for {
		key, err := d.wait(patience)
		if errors.Is(err, io.EOF) {
			d.session.Log("message", stretch(start, d.session.Now()))
			return // Serve finds out by itself
		}
		if key == '#' || key == 0 {
			break
		}
	}
	d.session.Log("message", stretch(start, d.session.Now()))
	d.say("saved")
}

func stretch(from, to time.Duration) map[string]string {
	return map[string]string{
		"from": from.Round(time.Millisecond).String(),
		"to":   to.Round(time.Millisecond).String(),
	}
}
