package call_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// The record and the events tell that a machine has picked up, and finding that
// out does not hold up the greeting.
func TestMachineDetection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(8*time.Second), nil)
		var greeted time.Duration
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, AnsweredBy: "machine_start", Talk: func(k *sim.Talk) {
			begin := time.Now()
			if err := k.WaitSpeech(5 * time.Second); err != nil {
				t.Errorf("no greeting: %v", err)
			}
			greeted = time.Since(begin)
			<-k.Done()
		}})
		c := o.wait(o.place(call.Options{MachineDetection: true}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		if c.AnsweredBy != telephony.AnsweredByMachine {
			t.Errorf("answered by %q", c.AnsweredBy)
		}
		told := 0
		events, err := o.Events(t.Context(), c.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Type == call.EventAnsweredBy && e.Name == string(telephony.AnsweredByMachine) {
				told++
			}
		}
		if told != 1 {
			t.Errorf("it was told %d times", told)
		}
		synctest.Wait()
		if greeted > time.Second {
			t.Errorf("the greeting came after %v", greeted)
		}
	})
}
