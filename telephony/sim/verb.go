package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

// A verb is one thing to do with a call. perform does it, blocking as long as it
// takes, and returns where further instructions are, if it is to be left for
// them. It returns early, with no error, when ctx ends.
type verb interface {
	perform(ctx context.Context, c *call) (*instruction, error)
}

// perform does all verbs. It returns nil when there is nothing left to do.
func (c *call) perform(ctx context.Context, verbs []verb) (*instruction, error) {
	for _, v := range verbs {
		switch v.(type) {
		case *reject, *redirect:
		case *pause: // as the first verb it is waited for before the answer
		case *connect:
			c.pickUp() // and begin once the stream is open
		default:
			c.pickUp()
			c.begin()
		}
		next, err := v.perform(ctx, c)
		if next != nil || err != nil || ctx.Err() != nil || c.redirected() {
			return next, err
		}
	}
	return nil, nil
}

// play lets the phone hear pcm and waits for its end.
func (c *call) play(ctx context.Context, pcm []int16) {
	t := c.talking()
	if t == nil {
		return
	}
	end := t.ear.play(time.Now(), pcm)
	if !sleep(ctx, time.Until(end)) {
		t.ear.clear(time.Now())
	}
}

// sendDigits presses keys towards the phone.
func (c *call) sendDigits(ctx context.Context, digits string) {
	if t := c.talking(); t != nil {
		t.addKeys(keysOf(digits))
	}
	c.play(ctx, dialTones(digits))
}

type say struct {
	text string
	loop int
}

func (s *say) perform(ctx context.Context, c *call) (*instruction, error) {
	for range s.loop {
		c.play(ctx, speak(s.text))
	}
	return nil, nil
}

type playDigits struct{ digits string }

func (p *playDigits) perform(ctx context.Context, c *call) (*instruction, error) {
	c.sendDigits(ctx, p.digits)
	return nil, nil
}

type playURL struct {
	url  string
	loop int
}

// maxFile bounds an audio file: 10 minutes of 16-bit stereo at 8 kHz.
const maxFile = 20 << 20

func (p *playURL) perform(ctx context.Context, c *call) (*instruction, error) {
	pcm, err := c.carrier.fetchAudio(ctx, p.url)
	if err != nil {
		return nil, err
	}
	for range p.loop {
		c.play(ctx, pcm)
	}
	return nil, nil
}

// fetchAudio fetches a WAV file and returns its first channel.
func (c *Carrier) fetchAudio(ctx context.Context, address string) ([]int16, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("sim: audio file: %w", err)
	}
	client := &http.Client{Transport: c.transport, Timeout: webhookTime}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("sim: audio file: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("sim: audio file: HTTP %d", resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFile))
	if err != nil {
		return nil, fmt.Errorf("sim: audio file: %w", err)
	}
	channels, hertz, err := audio.ReadWAV(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("sim: audio file: %w", err)
	}
	var pcm []int16
	r, buf := audio.Resample(audio.NewSamples(channels[0], hertz), rate), make([]int16, 4096)
	for {
		n, err := r.ReadPCM(buf)
		pcm = append(pcm, buf[:n]...)
		if err == io.EOF {
			return pcm, nil
		}
		if err != nil {
			return nil, fmt.Errorf("sim: audio file: %w", err)
		}
	}
}

type pause struct{ length time.Duration }

func (p *pause) perform(ctx context.Context, _ *call) (*instruction, error) {
	sleep(ctx, p.length)
	return nil, nil
}

type redirect struct{ instruction }

func (r *redirect) perform(context.Context, *call) (*instruction, error) {
	return &r.instruction, nil
}

type hangup struct{}

func (*hangup) perform(_ context.Context, c *call) (*instruction, error) {
	c.end(ending{by: c.application(), how: byVerb})
	return nil, nil
}

type reject struct{ busy bool }

func (r *reject) perform(_ context.Context, c *call) (*instruction, error) {
	if r.busy {
		c.end(ending{by: c.application(), status: telephony.StatusBusy, sip: 486, how: byVerb})
	} else {
		c.end(ending{by: c.application(), status: telephony.StatusNoAnswer, sip: 403, how: byVerb})
	}
	return nil, nil
}

// A dialNumber rings another phone and connects the two.
type dialNumber struct {
	to       string
	callerID string
	order    order        // of the call that is dialed
	action   *instruction // is told what became of it; nil for nobody
	aside    bool         // and the call goes on with the next verb all the same
}

func (d *dialNumber) perform(ctx context.Context, c *call) (*instruction, error) {
	from := d.callerID
	if from == "" {
		from = c.from
		if c.direction == telephony.Outbound {
			from = c.to
		}
	}
	leg := &call{from: from, to: d.to, direction: telephony.Outbound, parent: c, order: d.order, status: telephony.StatusQueued}
	if err := c.carrier.add(leg); err != nil {
		return nil, err
	}
	c.setLeg(leg)
	bridged := d.connect(ctx, c, leg)
	c.setLeg(nil)
	info := leg.info()
	if !leg.redirected() || c.carrier.start(leg.goOn) != nil {
		leg.end(ending{by: ByCaller, status: telephony.StatusCanceled})
		leg.finish()
		info = leg.info()
	}
	if !info.Answered.IsZero() {
		info.Status = telephony.StatusCompleted // between the two
	}
	return c.report(ctx, d.action, d.aside, c.dialect.dialed(info, bridged)), nil
}

// connect rings the phone of leg and connects it to that of c, until one of them
// hangs up or is called away. It returns how long they were connected.
func (d *dialNumber) connect(ctx context.Context, c, leg *call) (bridged time.Duration) {
	stop := context.AfterFunc(ctx, func() { leg.end(ending{by: ByCaller, status: telephony.StatusCanceled, sip: 487}) })
	defer stop()
	if _, ok := leg.ring(); !ok {
		return 0
	}
	if d.order.digits != "" {
		leg.sendDigits(leg.ctx, d.order.digits)
	}
	if !stop() {
		return 0
	}
	together, part := context.WithCancel(ctx)
	defer part()
	defer context.AfterFunc(leg.ctx, part)()
	leg.interruptible(part)
	start := time.Now()
	bridge(together, c.talking(), leg.talking())
	return time.Since(start)
}

func (c *call) setLeg(leg *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leg = leg
}

// goOn is the life of a call that was dialed by another one and is redirected
// away from it.
func (c *call) goOn() {
	defer c.finish()
	c.carryOut(func(context.Context) (*instruction, error) { return nil, nil })
}

// report tells the application at action, unless that is nil, what became of a
// verb. It returns where the call goes on; nil means at the next verb. One that is
// over only tells, and one that is redirected does not tell.
func (c *call) report(ctx context.Context, action *instruction, aside bool, what url.Values) *instruction {
	over := c.ctx.Err() != nil
	if action == nil || ctx.Err() != nil && !over {
		return nil
	}
	next := *action
	next.more = what
	if !over && !aside {
		return &next
	}
	c.post.push(hook{method: next.method, url: next.url, token: newToken(), params: c.dialect.question(c, next)})
	return nil
}
