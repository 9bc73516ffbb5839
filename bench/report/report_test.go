package report

import (
	"strings"
	"testing"
)

func TestReportTellsWhatWasNotReached(t *testing.T) {
	r := Report{
		Intro: "# Performance\n",
		Goals: []Goal{
			{Number: 2, What: "second", Met: Missed, Section: "echo", Note: "the reason"},
			{Number: 1, What: "first", Met: Met, Section: "codec"},
			{Number: 3, What: "third", Section: "dtmf"},
		},
		Tables: []Table{{"More", []string{"a", "b"}, [][]string{{"1", "2"}}}},
	}
	var md, text strings.Builder
	if err := r.WriteMarkdown(&md); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| 1 | first |", "Not reached in this run: 2 (second).", "Not measured in this run: 3 (third).",
		"- Goal 2: the reason", "`bench/run.sh -only codec`", "| a | b |\n|---|---|\n| 1 | 2 |",
	} {
		if !strings.Contains(md.String(), want) {
			t.Errorf("no %q in\n%s", want, md.String())
		}
	}
	if strings.Index(md.String(), "first") > strings.Index(md.String(), "second") {
		t.Error("goals are not in order")
	}
	if !strings.Contains(text.String(), "2: the reason") {
		t.Errorf("no note in\n%s", text.String())
	}
}
