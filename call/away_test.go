package call

import (
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Where a life stands after the caller has left the stream.
func TestLifeOfACallerWhoIsAway(t *testing.T) {
	talking := []input{beginning, dialed, asked, started, sound}
	returning := input{kind: inReturning}
	failed := input{kind: inLeaveFailed}
	tests := []struct {
		name   string
		inputs []input
		state  State
		cause  Cause
		away   away
	}{
		{"keys, and back", []input{leavingTo(awayBriefly), stopped, started, sound}, Active, CauseNone, awayNone},
		{"keys, and the stream does not come back", []input{leavingTo(awayBriefly), stopped, fired(timerAway), hungUp}, Completed, NoMedia, awayBriefly},
		{"keys, and the caller hangs up", []input{leavingTo(awayBriefly), stopped, report(telephony.StatusCompleted)}, Completed, HangupRemote, awayBriefly},
		{"back from keys, and the new stream ends", []input{leavingTo(awayBriefly), stopped, started, sound, stopped, hungUp}, Completed, HangupRemote, awayNone},
		{"back from keys, and the new stream is silent", []input{leavingTo(awayBriefly), stopped, started, fired(timerMedia), hungUp}, Completed, NoMedia, awayNone},
		{"somebody else, who is busy", []input{leavingTo(awayTrying), stopped, returning, started, sound}, Active, CauseNone, awayNone},
		{"somebody else, who is busy, and the stream does not come back", []input{leavingTo(awayTrying), stopped, returning, fired(timerAway), hungUp}, Completed, NoMedia, awayBack},
		{"somebody else, who answers", []input{leavingTo(awayTrying), stopped, fired(timerAway)}, Active, CauseNone, awayForGood},
		{"somebody else, and all hang up at once", []input{leavingTo(awayTrying), stopped, report(telephony.StatusCompleted)}, Completed, Transferred, awayTrying},
		{"a conference, and all have left it", []input{leavingTo(awayForGood), stopped, report(telephony.StatusCompleted)}, Completed, Transferred, awayForGood},
		{"a conference, and the carrier forgets the call", []input{leavingTo(awayForGood), stopped, fired(timerCheck), forgotten}, Completed, Transferred, awayForGood},
		{"a stream that nobody asked for", []input{leavingTo(awayForGood), stopped, started}, Active, CauseNone, awayForGood},
		{"the carrier does not redirect", []input{leavingTo(awayTrying), failed, sound}, Active, CauseNone, awayNone},
		{"hung up by the host on the way", []input{leavingTo(awayTrying), stopped, endedBy(HangupLocal), hungUp}, Completed, HangupLocal, awayTrying},
		{"away twice", []input{leavingTo(awayTrying), leavingTo(awayBriefly)}, Active, CauseNone, awayTrying},
		{"late news of a way back", []input{leavingTo(awayBriefly), stopped, returning}, Active, CauseNone, awayBriefly},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, _, did := play(life{}, slices.Concat(talking, tt.inputs)...)
			if l.State != tt.state || l.Cause != tt.cause || l.Away != tt.away {
				t.Errorf("call is %v, %q, away %d; want %v, %q, away %d", l.State, l.Cause, l.Away, tt.state, tt.cause, tt.away)
			}
			if n := len(slices.DeleteFunc(did, func(e effectKind) bool { return e != doAgent })); n != 1 {
				t.Errorf("the agent was let talk %d times", n)
			}
		})
	}
}

// A caller cannot leave a stream that is not there.
func TestLeavingIsFromTheStream(t *testing.T) {
	for name, before := range map[string][]input{
		"ringing":  {beginning, dialed, report(telephony.StatusRinging)},
		"answered": {beginning, dialed, asked},
		"ending":   {beginning, dialed, asked, started, sound, endedBy(HangupLocal)},
	} {
		l, _, _ := play(life{}, append(before, leavingTo(awayForGood))...)
		if l.Away != awayNone {
			t.Errorf("%s: away %d", name, l.Away)
		}
	}
}

// Two people who were connected to each other go on talking when our process
// starts again, until the carrier says that they have ended.
func TestRecoveredTransferGoesOn(t *testing.T) {
	for _, where := range []away{awayTrying, awayForGood} {
		l, _, did := play(life{}, beginning, dialed, asked, started, sound, leavingTo(where), stopped, input{kind: inRecovered})
		if l.State != Active || slices.Contains(did, doHangup) {
			t.Errorf("away %d: call is %v; %v was done", where, l.State, did)
		}
		l, _, did = play(l, fired(timerCheck), input{kind: inChecked, leg: "CA1", status: telephony.StatusInProgress})
		if l.State != Active || !slices.Contains(did, doCheck) || slices.Contains(did, doHangup) {
			t.Errorf("away %d: call is %v after a check; %v was done", where, l.State, did)
		}
		if l, _, _ = play(l, report(telephony.StatusCompleted)); l.State != Completed || l.Cause != Transferred {
			t.Errorf("away %d: call ended %v, %q", where, l.State, l.Cause)
		}
	}
}

// A stream that breaks may be replaced, for a while.
func TestLifeOfABrokenStream(t *testing.T) {
	talking := []input{beginning, dialed, asked, started, sound}
	broken, lost := input{kind: inStreamEnded, detail: "reset"}, input{kind: inStreamLost}
	tests := []struct {
		name   string
		grace  time.Duration
		inputs []input
		state  State
		cause  Cause
	}{
		{"without grace", 0, []input{broken, hungUp}, Completed, StreamLost},
		{"replaced", time.Second, []input{broken, lost, started, sound}, Active, CauseNone},
		{"the carrier notices first", time.Second, []input{lost, broken, started, sound}, Active, CauseNone},
		{"not replaced", time.Second, []input{broken, fired(timerAway), hungUp}, Completed, StreamLost},
		{"an old question", time.Second, []input{lost, fired(timerAway), sound}, Active, CauseNone},
		{"an orderly end", time.Second, []input{stopped, hungUp}, Completed, HangupRemote},
		{"it was the caller who hung up", time.Second, []input{broken, report(telephony.StatusCompleted)}, Completed, HangupRemote},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lim := testLimits
			lim.grace = tt.grace
			l, _, did := playWith(lim, life{}, slices.Concat(talking, tt.inputs)...)
			if l.State != tt.state || l.Cause != tt.cause {
				t.Errorf("call is %v, %q; want %v, %q", l.State, l.Cause, tt.state, tt.cause)
			}
			if n := len(slices.DeleteFunc(did, func(e effectKind) bool { return e != doAgent })); n != 1 {
				t.Errorf("the agent was let talk %d times", n)
			}
		})
	}
}
