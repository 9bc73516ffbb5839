package call

import (
	"strings"
	"testing"
	"time"
)

func TestHeardWords(t *testing.T) {
	for _, tt := range []struct {
		name, text   string
		heard, whole time.Duration
		want         string
	}{
		{"half of it", "one two three four", 5 * time.Second, 10 * time.Second, "one two"},
		{"all of it", "one two", time.Second, time.Second, "one two"},
		{"nothing of it", "one two", 0, time.Second, ""},
		{"less than a word", "extraordinarily", 500 * ms, time.Second, ""},
		{"the length is not known", "one two three four", time.Second, 0, "one two three"},
		{"letters of two bytes count once", "über größere Straßen fahren", 5 * time.Second, 10 * time.Second, "über größere"},
		{"Chinese is cut between signs", "今天天气很好我们去公园吧", 5 * time.Second, 10 * time.Second, "今天天气很好"},
		{"punctuation stays with its word", "今天天气很好。我们去公园吧", 6 * time.Second, 12 * time.Second, "今天天气很好。"},
		{"Japanese, whose long vowels stay", "コーヒーを飲みます", 40 * ms, 100 * ms, "コーヒー"},
		{"Thai, whose vowels stay", "สวัสดีครับคุณ", 600 * ms, 1000 * ms, "สวัสดีค"},
		{"Korean has spaces", "안녕하세요 반갑습니다", 600 * ms, 1000 * ms, "안녕하세요"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := heardWords(tt.text, tt.heard, tt.whole); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The more was heard, the more is told, of any script, and never half a sign.
func TestHeardWordsGrow(t *testing.T) {
	for _, text := range []string{"one two three", "今天天气很好。", "コーヒーを", "สวัสดีครับ", "e\u0301tude 👍🏽 ok", "", "  two  spaces "} {
		before := ""
		for heard := range 101 {
			got := heardWords(text, time.Duration(heard)*ms, 100*ms)
			if !strings.HasPrefix(text, got) || !strings.HasPrefix(got, before) {
				t.Fatalf("%q: %q after %q", text, got, before)
			}
			before = got
		}
		if before != text {
			t.Errorf("%q heard to its end is %q", text, before)
		}
	}
}
