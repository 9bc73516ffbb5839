package sqlstore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

// measure runs a benchmark on each database, and on a PostgreSQL that waits for
// the disk, as servers do.
func measure(b *testing.B, benchmark func(b *testing.B, s *Store)) {
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		b.Run(name, func(b *testing.B) { benchmark(b, mustOpen(b, databases[name](b))) })
	}
	b.Run("PostgreSQL, durable", func(b *testing.B) {
		server := pgtest.Start(b)
		server.Set(b, "fsync", "on")
		b.Cleanup(func() { server.Set(b, "fsync", "off") })
		benchmark(b, mustOpen(b, server.Schema(b)))
	})
}

func BenchmarkCreate(b *testing.B) {
	measure(b, func(b *testing.B, s *Store) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if err := put(s, sample(fmt.Sprintf("call-%d", n))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCreateAtOnce(b *testing.B) {
	measure(b, func(b *testing.B, s *Store) {
		b.SetParallelism(16)
		var n atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := put(s, sample(fmt.Sprintf("call-%d", n.Add(1)))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkUpdateWithThreeEvents(b *testing.B) {
	measure(b, func(b *testing.B, s *Store) {
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
	})
}

func BenchmarkListOfHundredAmongTwoThousand(b *testing.B) {
	measure(b, func(b *testing.B, s *Store) {
		for n := range 2000 {
			c := sample(fmt.Sprintf("call-%d", n))
			c.CreatedAt = c.CreatedAt.Add(time.Duration(n) * time.Second)
			if err := put(s, c); err != nil {
				b.Fatal(err)
			}
		}
		p := call.Position{CreatedAt: sample("").CreatedAt.Add(1000 * time.Second)}
		b.ReportAllocs()
		for b.Loop() {
			list, err := s.List(b.Context(), call.Filter{Before: &p})
			if err != nil || len(list) != 100 {
				b.Fatalf("%d calls, %v", len(list), err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	measure(b, func(b *testing.B, s *Store) {
		if err := put(s, sample("one")); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Get(b.Context(), "one"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
