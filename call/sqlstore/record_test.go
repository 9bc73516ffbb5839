package sqlstore

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

// FuzzRecord: what is encoded comes back, but for bytes that are not text.
func FuzzRecord(f *testing.F) {
	f.Add("call", "+12025550100", "value", []byte{0, 255}, int64(1_750_000_000_123_456_789), int64(-1), uint8(3), 0.5)
	f.Add("\xff\x00\"", "sip:<a>", "\u2028", []byte(nil), int64(math.MinInt64), int64(math.MaxInt64), uint8(9), 1e300)
	f.Fuzz(func(t *testing.T, text, number, value string, life []byte, at, n int64, small uint8, x float64) {
		fields := func(text, number, value string) (*call.Call, call.Event) {
			when := time.Unix(0, at).In(time.FixedZone("", int(small)*60))
			segment := transcript.Segment{ID: text, Speaker: transcript.Speaker(value), Text: text, At: time.Duration(n), Confidence: x, Gap: n > 0}
			state := call.State(small % (uint8(call.Canceled) + 1))
			c := &call.Call{
				ID: text, Tenant: value, AgentID: value, Direction: telephony.Direction(small % 2),
				From: telephony.Number(number), State: state, Cause: call.Cause(value), Detail: value,
				CreatedAt: when, EndedAt: when, Context: map[string]string{text: value},
				Options:    call.Options{Record: n > 0, RingTimeout: time.Duration(n), SendDigits: text},
				Recording:  &recording.Recording{Key: value, Size: n, CreatedAt: when},
				Transcript: []transcript.Segment{segment},
				Metrics:    call.Metrics{AudioQuality: x, FramesIn: n, Leftover: []string{text}},
				Life:       life, Version: n,
			}
			return c, call.Event{
				CallID: text, Seq: n, At: when, Type: call.EventType(value), State: state,
				Segment: &segment, Name: value, Data: map[string]string{text: value},
			}
		}
		c, e := fields(text, number, value)
		wantCall, wantEvent := fields(clean(text), clean(number), clean(value))

		record, err := encodeCall(c)
		if err != nil {
			t.Fatal(err)
		}
		gotCall, err := decodeCall([]byte(record))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantCall, gotCall, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("call -want +got:\n%s", diff)
		}
		event, err := encodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		gotEvent, err := decodeEvent([]byte(event))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantEvent, gotEvent, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("event -want +got:\n%s", diff)
		}
	})
}

// clean returns s with U+FFFD for each byte that is no part of UTF-8.
func clean(s string) string { return string([]rune(s)) }

// FuzzDecode: whatever is in the database, reading it does not panic, and what
// can be read can be written and read again.
func FuzzDecode(f *testing.F) {
	record, err := encodeCall(sample("one"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(record))
	f.Add([]byte(`{"state":"busy","created_at":"2025-01-01T00:00:00+01:00","life":"AA==","recording":{}}`))
	f.Add([]byte(`{"state":"","segment":{"confidence":1e400}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeCall(b); err == nil {
			if record, err := encodeCall(c); err == nil {
				again, err := decodeCall([]byte(record))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c, again, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("-first +again:\n%s", diff)
				}
			}
		}
		if e, err := decodeEvent(b); err == nil {
			if event, err := encodeEvent(e); err == nil {
				again, err := decodeEvent([]byte(event))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(e, again, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("-first +again:\n%s", diff)
				}
			}
		}
	})
}

func TestNanosKeepOrder(t *testing.T) {
	times := []time.Time{
		{}, time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), sqldb.Earliest, sqldb.Earliest.Add(1), time.Unix(0, -1), time.Unix(0, 0),
		sqldb.Latest.Add(-1), sqldb.Latest, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for i := range len(times) - 1 {
		if a, b := sqldb.Nanos(times[i]), sqldb.Nanos(times[i+1]); a > b {
			t.Errorf("%v is %d, %v is %d", times[i], a, times[i+1], b)
		}
	}
}
