package sim

import (
	"errors"
	"testing"

	"github.com/switchboard-voice/switchboard/telephony"
)

func TestCarrierForgetsTheOldestEndedCalls(t *testing.T) {
	c := New(Config{})
	defer c.Close()
	place := func() *call {
		l := &call{from: "+12025550100", to: "+12025550101", status: telephony.StatusQueued}
		if err := c.add(l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	live := place()
	var first, last *call
	for range maxEndedCalls + maxEndedCalls/10 + 1 {
		last = place()
		last.end(ending{by: ByCallee, status: telephony.StatusBusy})
		last.finish()
		if first == nil {
			first = last
		}
	}
	place().finish()
	if n := len(c.Calls()); n < maxEndedCalls || n > maxEndedCalls+maxEndedCalls/10+2 {
		t.Errorf("%d calls are known", n)
	}
	if c.call(first.sid) != nil || c.call(last.sid) != last || c.call(live.sid) != live {
		t.Error("not the oldest ended calls were forgotten")
	}
	live.finish()
}

func TestCarrierRefusesTooManyLiveCalls(t *testing.T) {
	c := New(Config{})
	defer c.Close()
	var calls []*call
	for range maxLiveCalls {
		l := &call{}
		if err := c.add(l); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, l)
	}
	if err := c.add(&call{}); !errors.Is(err, errCrowded) {
		t.Errorf("one more: %v; want errCrowded", err)
	}
	for _, l := range calls {
		l.finish()
	}
	l := &call{}
	if err := c.add(l); err != nil {
		t.Errorf("after they ended: %v", err)
	}
	l.finish()
}
