// Package report holds what was measured, goal by goal, and writes it down.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Goal is one thing that is to be reached, and what came of it.
type Goal struct {
	Number  int
	What    string // what is measured
	Want    string // what is to be reached
	Ours    string
	Peer    string
	Ratio   string
	Met     Verdict
	Note    string // what the figures do not say
	Section string // the part of the benchmark that measures it
}

// A Verdict says whether a goal was reached.
type Verdict uint8

// The verdicts.
const (
	NotMeasured Verdict = iota
	Met
	Missed
)

// Reached is Met or Missed.
func Reached(ok bool) Verdict {
	if ok {
		return Met
	}
	return Missed
}

// String is "yes", "no" or "not measured".
func (v Verdict) String() string { return [...]string{"not measured", "yes", "no"}[v] }

// A Table is further figures.
type Table struct {
	Title  string
	Header []string
	Rows   [][]string
}

// A Report is what a run of the benchmark has found.
type Report struct {
	Intro  string // Markdown: what, when, on which machine
	Goals  []Goal
	Tables []Table
	Outro  string // Markdown: how it was measured
}

var header = []string{"#", "Goal", "Wanted", "Measured", "Peer", "Ratio", "Met", "Command"}

func (g Goal) row() []string {
	return []string{fmt.Sprint(g.Number), g.What, g.Want, g.Ours, g.Peer, g.Ratio, g.Met.String(), g.Section}
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Goals, func(a, b Goal) int { return a.Number - b.Number })
}

// WriteText writes the goals for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	r.sort()
	rows := [][]string{header}
	for _, g := range r.Goals {
		rows = append(rows, g.row())
	}
	var b strings.Builder
	align(&b, rows)
	for _, g := range r.Goals {
		if g.Note != "" {
			fmt.Fprintf(&b, "%d: %s\n", g.Number, g.Note)
		}
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n%s\n", t.Title)
		align(&b, append([][]string{t.Header}, t.Rows...))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func align(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i+1 < len(row) {
				b.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
			}
		}
		b.WriteByte('\n')
	}
}

// WriteMarkdown writes the whole report.
func (r *Report) WriteMarkdown(w io.Writer) error {
	r.sort()
	var b strings.Builder
	b.WriteString(r.Intro)
	b.WriteString("\n## Goals\n\n")
	var rows [][]string
	var missed, unmeasured []string
	for _, g := range r.Goals {
		row := g.row()
		row[len(row)-1] = "`bench/run.sh -only " + g.Section + "`"
		rows = append(rows, row)
		switch g.Met {
		case Missed:
			missed = append(missed, fmt.Sprintf("%d (%s)", g.Number, g.What))
		case NotMeasured:
			unmeasured = append(unmeasured, fmt.Sprintf("%d (%s)", g.Number, g.What))
		}
	}
	markdown(&b, header, rows)
	b.WriteString("\n")
	if len(missed) > 0 {
		fmt.Fprintf(&b, "Not reached in this run: %s.\n\n", strings.Join(missed, "; "))
	}
	if len(unmeasured) > 0 {
		fmt.Fprintf(&b, "Not measured in this run: %s.\n\n", strings.Join(unmeasured, "; "))
	}
	for _, g := range r.Goals {
		if g.Note != "" {
			fmt.Fprintf(&b, "- Goal %d: %s\n", g.Number, g.Note)
		}
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n## %s\n\n", t.Title)
		markdown(&b, t.Header, t.Rows)
	}
	b.WriteString("\n" + r.Outro)
	_, err := io.WriteString(w, b.String())
	return err
}

func markdown(b *strings.Builder, header []string, rows [][]string) {
	line := func(cells []string) {
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, row := range rows {
		line(row)
	}
}
