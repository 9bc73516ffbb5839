package telephony

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStatusKeepsItsText(t *testing.T) {
	final := map[Status]bool{
		StatusCompleted: true, StatusBusy: true, StatusNoAnswer: true,
		StatusCanceled: true, StatusFailed: true, StatusTimeout: true,
	}
	for s := StatusUnknown; s <= StatusTimeout; s++ {
		text, err := s.MarshalText()
		var back Status
		if err != nil || back.UnmarshalText(text) != nil || back != s {
			t.Errorf("%v is written as %q and read as %v", s, text, back)
		}
		if s.Final() != final[s] {
			t.Errorf("%v is final: %t", s, s.Final())
		}
	}
	if s := Status(99); s.String() != "status(99)" || s.Final() {
		t.Errorf("a status that is none is %v, final %t", s, s.Final())
	}
	s := StatusBusy
	if err := s.UnmarshalText([]byte("on_hold")); err != nil || s != StatusUnknown {
		t.Errorf("an unknown word is read as %v, %v", s, err)
	}
}

func TestDirectionKeepsItsText(t *testing.T) {
	for _, d := range []Direction{Outbound, Inbound} {
		text, err := d.MarshalText()
		var back Direction
		if err != nil || back.UnmarshalText(text) != nil || back != d {
			t.Errorf("%v is written as %q and read as %v", d, text, back)
		}
	}
	var d Direction
	if d.UnmarshalText([]byte("sideways")) == nil {
		t.Error("an unknown word is a direction")
	}
}

func TestEventDoesNotTellWhomItConcerns(t *testing.T) {
	e := Event{
		ProviderCallID: "CA1", Direction: Inbound, From: "+12025550100", To: "+12025550199",
		Status: StatusRinging, Fields: map[string]string{"CallerName": "ANN EXAMPLE"},
	}
	if got, want := e.String(), "inbound CA1 ringing"; got != want {
		t.Errorf("event is %q, want %q", got, want)
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "ANN") || !strings.Contains(string(b), `"Status":"ringing"`) {
		t.Errorf("event is written as %s", b)
	}
}
