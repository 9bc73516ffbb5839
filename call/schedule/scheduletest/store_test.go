package scheduletest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/call/schedule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryStore(t *testing.T) {
	TestStore(t, func(*testing.T) schedule.Store { return new(schedule.MemoryStore) })
}

func TestMemoryStoreForgetsThoseThatEndedFirst(t *testing.T) {
	s := &schedule.MemoryStore{MaxOver: 2}
	for _, id := range []string{"a", "b", "c", "d"} {
		create(t, s, Sample(t, id))
	}
	for _, id := range []string{"c", "a", "b"} {
		r := Sample(t, id)
		r.Version, r.State = 2, schedule.Done
		if err := s.Update(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.List(t.Context(), schedule.Filter{}); err != nil || ids(list) != "a b d" {
		t.Errorf("left are %s, %v", ids(list), err)
	}
}
