package live

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/transcript"
)

// heard is a result about a stretch, in tenths of a second.
func heard(from, to int, text string, final, ends bool) Result {
	return Result{Start: at(from), End: at(to), Text: text, Final: final, Ends: ends}
}

func TestVoice(t *testing.T) {
	const interim, final = false, true
	shown := func(id, text string, final bool) transcript.Segment {
		return transcript.Segment{ID: id, Text: text, Final: final}
	}
	tests := []struct {
		name string
		do   func(v *voice)
		want []transcript.Segment // but for their times
	}{
		{"a segment grows until the speaker has come to an end", func(v *voice) {
			v.take(heard(0, 10, "good", interim, false))
			v.take(heard(0, 20, "good morning", final, false))
			v.take(heard(20, 25, "to", interim, false))
			v.take(heard(20, 30, "to you", final, true))
		}, []transcript.Segment{shown("0", "good", false), shown("0", "good morning", false), shown("0", "good morning to", false), shown("0", "good morning to you", true)}},
		{"an end that is told apart", func(v *voice) {
			v.take(heard(0, 20, "yes", final, false))
			v.take(Result{Ends: true})
			v.take(Result{Ends: true})
		}, []transcript.Segment{shown("0", "yes", false), shown("0", "yes", true)}},
		{"an end that comes while the next is begun", func(v *voice) {
			v.take(heard(0, 20, "yes", final, false))
			v.take(heard(20, 30, "but", interim, false))
			v.take(Result{Ends: true})
			v.take(heard(20, 30, "but no", final, true))
		}, []transcript.Segment{shown("0", "yes", false), shown("0", "yes but", false), shown("0", "yes", true), shown("1", "but", false), shown("1", "but no", true)}},
		{"silence ends a segment too", func(v *voice) {
			v.take(heard(0, 20, "yes", final, false))
			v.take(heard(20, 30, "", final, false))
			v.take(heard(30, 40, "", final, false))
		}, []transcript.Segment{shown("0", "yes", false), shown("0", "yes", true)}},
		{"words after a pause are another segment", func(v *voice) {
			v.take(heard(0, 20, "yes", final, false))
			v.take(heard(40, 50, "no", final, true))
		}, []transcript.Segment{shown("0", "yes", false), shown("0", "yes", true), shown("1", "no", true)}},
		{"interim words that are taken back", func(v *voice) {
			v.take(heard(0, 10, "eh", interim, false))
			v.take(heard(0, 20, "", final, false))
			v.take(heard(20, 30, "yes", final, true))
		}, []transcript.Segment{shown("0", "eh", false), shown("0", "", false), shown("0", "yes", true)}},
		{"a final that comes twice, and an interim after it", func(v *voice) {
			v.take(heard(0, 20, "yes", final, true))
			v.take(heard(0, 20, "yes", final, true))
			v.take(heard(0, 18, "ye", interim, false))
		}, []transcript.Segment{shown("0", "yes", true)}},
		{"interim words that will not be heard again are kept", func(v *voice) {
			v.take(heard(0, 10, "yes", interim, false))
			v.giveUp(at(5))
			v.take(heard(0, 10, "yes", final, true))
			v.take(heard(10, 20, "no", final, true))
		}, []transcript.Segment{shown("0", "yes", false), shown("1", "no", true)}},
		{"what was not heard is a gap", func(v *voice) {
			v.take(heard(0, 20, "yes", final, false))
			v.giveUp(at(50))
			v.take(heard(20, 40, "lost", final, true))
			v.take(heard(50, 60, "no", final, true))
		}, []transcript.Segment{shown("0", "yes", false), shown("0", "yes", true), {Final: true, Gap: true}, shown("1", "no", true)}},
		{"what is too short for a word is none", func(v *voice) {
			v.take(heard(0, 20, "yes", final, true))
			v.giveUp(at(20) + shortestGap - 1)
		}, []transcript.Segment{shown("0", "yes", true)}},
		{"silence that was found out", func(v *voice) {
			v.quiet(span{0, at(30)})
			v.giveUp(at(30))
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []transcript.Segment
			v := &voice{counters: &Counters{}, emit: func(s transcript.Segment) {
				if s.At < 0 || s.End < s.At {
					t.Errorf("%+v", s)
				}
				s.At, s.End, s.Confidence = 0, 0, 0
				got = append(got, s)
			}}
			tt.do(v)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("what is wanted (-) and emitted (+):\n%s", diff)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	const secret = "sk-secret"
	for status, want := range map[int]error{401: transcript.ErrAuth, 403: transcript.ErrAuth, 400: transcript.ErrRefused, 404: transcript.ErrRefused,
		429: transcript.ErrThrottled, 408: transcript.ErrUnavailable, 500: transcript.ErrUnavailable, 302: transcript.ErrUnavailable} {
		e := Refusal("test", status, map[string][]string{"Retry-After": {"90"}}, "no: "+secret+" is bad", secret)
		if e.Reason != want || e.RetryAfter != time.Minute || (e.Message == "") != (want == transcript.ErrAuth) || cmp.Equal(e.Message, secret) {
			t.Errorf("%d: %+v", status, e)
		}
	}
	date := time.Now().Add(10 * time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	if d := retryAfter(map[string][]string{"Retry-After": {date}}, time.Now()); d < 8*time.Second || d > 10*time.Second {
		t.Errorf("until %s are %v", date, d)
	}
}
