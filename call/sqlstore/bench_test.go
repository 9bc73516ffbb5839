package sqlstore

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

func BenchmarkCreate(b *testing.B) {
	s := mustOpen(b, "sqlite:"+filepath.Join(b.TempDir(), "calls.db"))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := put(s, sample(fmt.Sprintf("call-%d", n))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateWithThreeEvents(b *testing.B) {
	s := mustOpen(b, "sqlite:"+filepath.Join(b.TempDir(), "calls.db"))
	c := sample("one")
	if err := put(s, c); err != nil {
		b.Fatal(err)
	}
	seq := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		c.Version++
		events := make([]call.Event, 3)
		for i := range events {
			seq++
			events[i] = call.Event{CallID: c.ID, Seq: seq, At: c.CreatedAt, Type: call.EventKey, State: c.State, Key: "5"}
		}
		if err := s.Update(b.Context(), c, events); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListOfHundredAmongTenThousand(b *testing.B) {
	s := mustOpen(b, "sqlite:"+filepath.Join(b.TempDir(), "calls.db"))
	for n := range 10_000 {
		c := sample(fmt.Sprintf("call-%d", n))
		c.CreatedAt = c.CreatedAt.Add(time.Duration(n) * time.Second)
		if err := put(s, c); err != nil {
			b.Fatal(err)
		}
	}
	p := call.Position{CreatedAt: sample("").CreatedAt.Add(5000 * time.Second)}
	b.ReportAllocs()
	for b.Loop() {
		list, err := s.List(b.Context(), call.Filter{Before: &p})
		if err != nil || len(list) != 100 {
			b.Fatalf("%d calls, %v", len(list), err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := mustOpen(b, "sqlite:"+filepath.Join(b.TempDir(), "calls.db"))
	if err := put(s, sample("one")); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), "one"); err != nil {
			b.Fatal(err)
		}
	}
}
