package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
)

// Queue is how callers wait, and for whom. Agents are needed; all else has a
// default. Its functions may be called by many goroutines at once and must return
// soon: meanwhile the caller's keys are not heard.
type Queue struct {
	// Agents are those to whom callers are given. An agent may be of several queues.
	Agents []string
	// Tenant is whose queue it is, for hosts that serve several; may be empty.
	Tenant string
	// Max is how many may wait at once, callbacks included. Zero: 50.
	Max int
	// MaxWait is how long a caller waits at most. Zero: 10 minutes.
	MaxWait time.Duration
	// Backup is the agent who gets the callers for whom there is no place, who have
	// waited for too long, or who leave by LeaveKey: a voice mailbox, say. Empty: they
	// are hung up on.
	Backup string
	// HeadStart is for how much longer a caller counts as having waited: whoever has
	// two minutes of it is served before those who have waited up to two minutes
	// longer, and nobody is overtaken by who comes after that. At most one day. Nil:
	// all are served as they came.
	HeadStart func(c *call.Call) time.Duration

	// Music returns what callers hear, at the given rate: see audio.Loop. It begins
	// anew after each announcement. Nil: call.HoldSound.
	Music func(rate int) audio.Reader
	// Announce returns what a caller is told as soon as it is known that nobody is
	// free, and then Every so long. An error, or no Audio: nothing. Nil: nothing.
	Announce func(ctx context.Context, c *call.Call, at Standing) (call.Utterance, error)
	// Every is how often the position is told. Zero: 30 seconds.
	Every time.Duration

	// LeaveKey is the key by which a caller leaves for Backup: one of 0-9 * # A-D.
	// Empty: none.
	LeaveKey string
	// CallbackKey is the key by which a caller hangs up and keeps its place: it is
	// called back once, at the number from which it has called, when its turn comes.
	// Callers without a number wait on. Empty: none.
	CallbackKey string
	// Promise returns what a caller hears who has chosen that. Nil, or no Audio:
	// nothing.
	Promise func(ctx context.Context, c *call.Call) (call.Utterance, error)
	// CallbackFor is how long after it has joined a caller may be called back. Zero:
	// one hour.
	CallbackFor time.Duration
	// Handling is how long an agent has a caller, for estimates before that is known.
	// Zero: there is no estimate then.
	Handling time.Duration
}

// Standing is how a caller stands in its queue.
type Standing struct {
	Position int           // from 1
	Waited   time.Duration // so far
	// Estimate is how long it may last yet: the position, times how long agents have
	// a caller on average, by the number of callers whom they can have at once. Zero:
	// not known.
	Estimate time.Duration
}

const (
	defaultMax         = 50
	defaultMaxWait     = 10 * time.Minute
	defaultEvery       = 30 * time.Second
	defaultCallbackFor = time.Hour
	maxHeadStart       = 24 * time.Hour
)

// withDefaults checks q and fills in what is not set.
func (q Queue) withDefaults(agents call.Agents) (Queue, error) {
	if len(q.Agents) == 0 {
		return q, errors.New("it has no agents")
	}
	seen := make(map[string]bool)
	for _, name := range q.Agents {
		if agents[name] == nil || seen[name] {
			return q, fmt.Errorf("agent %q is named twice, or is none", name)
		}
		seen[name] = true
	}
	if q.Backup != "" && agents[q.Backup] == nil {
		return q, fmt.Errorf("Backup %q is no agent", q.Backup)
	}
	for _, key := range []string{q.LeaveKey, q.CallbackKey} {
		if key != "" && (len(key) != 1 || strings.Trim(key, "0123456789*#ABCD") != "") {
			return q, fmt.Errorf("key %q is none of 0-9 * # A-D", key)
		}
	}
	if q.LeaveKey != "" && q.LeaveKey == q.CallbackKey {
		return q, errors.New("LeaveKey and CallbackKey are the same")
	}
	if q.Max < 0 || q.MaxWait < 0 || q.Every < 0 || q.CallbackFor < 0 || q.Handling < 0 {
		return q, errors.New("a limit is negative")
	}
	if q.Max == 0 {
		q.Max = defaultMax
	}
	if q.MaxWait == 0 {
		q.MaxWait = defaultMaxWait
	}
	if q.Every == 0 {
		q.Every = defaultEvery
	}
	if q.CallbackFor == 0 {
		q.CallbackFor = defaultCallbackFor
	}
	if q.Music == nil {
		q.Music = call.HoldSound
	}
	return q, nil
}

// headStart is that of a call, within its bounds.
func (q *Queue) headStart(c *call.Call) time.Duration {
	if q.HeadStart == nil {
		return 0
	}
	return min(max(0, q.HeadStart(c)), maxHeadStart)
}
