package call

import (
	"slices"
	"testing"
)

// A transfer that is under way, or has been made, is not cut off by an agent
// that was about to return; one that fails leaves no call without its end.
func TestTransferOfAnAgentThatReturns(t *testing.T) {
	talking := []input{beginning, dialed, asked, started, sound}
	returned, played := input{kind: inAgentReturned}, input{kind: inPlayedOut}
	transferred, failed := leavingTo(awayTrying), input{kind: inLeaveFailed}
	tests := []struct {
		name   string
		inputs []input
		state  State // after them
		plays  int   // how often the last words are let play
	}{
		{"returned, and then transferred", []input{returned, transferred, played, stopped}, Active, 1},
		{"transferred, and then returned", []input{transferred, stopped, returned}, Active, 0},
		{"returned, and then the transfer fails", []input{returned, transferred, played, failed, played, hungUp}, Completed, 2},
		{"returned during a transfer that fails", []input{transferred, returned, failed, played, hungUp}, Completed, 1},
		{"the stream ends during a transfer that fails", []input{transferred, stopped, failed, hungUp}, Completed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, _, did := play(life{}, slices.Concat(talking, tt.inputs)...)
			if l.State != tt.state {
				t.Errorf("call is %v, want %v", l.State, tt.state)
			}
			plays := 0
			for _, e := range did {
				if e == doPlayOut {
					plays++
				}
			}
			if plays != tt.plays {
				t.Errorf("last words were let play %d times, want %d", plays, tt.plays)
			}
		})
	}
}

// A call of which a crashed process did not know whether it was dialed is hung up
// as soon as it is found: there is no agent for it any more.
func TestRecoveredCallThatIsFoundIsHungUp(t *testing.T) {
	for name, found := range map[string]input{
		"by a search":      report(1),
		"by its callee":    asked,
		"by a late report": dialed,
	} {
		t.Run(name, func(t *testing.T) {
			l, _, did := play(life{}, beginning, input{kind: inRecovered}, found)
			if l.State != Ending || l.Cause != Interrupted || !slices.Contains(did, doHangup) {
				t.Errorf("call is %v, %q; %v was done", l.State, l.Cause, did)
			}
		})
	}
}
