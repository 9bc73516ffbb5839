package routing

import (
	"fmt"
	"strings"
	"time"
)

var dayNames = [7]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

const (
	longestWeek = 2048 // bytes, more than a week of full days has
	daySpans    = 16   // at most, of one day
)

// ParseWeek reads the hours of a week, such as
//
//	Mon-Thu 09:00-12:30 13:30-18:00, Fri 09:00-16:00, Sat 22:00-02:00
//
// that is, separated by commas, a day or days from one to another, and spans. A
// span that does not end after it begins ends on the next day. Days that are
// named again have those spans too.
func ParseWeek(text string) (Week, error) {
	var w Week
	if len(text) > longestWeek {
		return w, fmt.Errorf("routing: week has more than %d bytes", longestWeek)
	}
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) < 2 {
			return Week{}, fmt.Errorf("routing: %q is not days and hours, such as Mon-Fri 09:00-18:00", part)
		}
		first, last, err := parseDays(words[0])
		if err != nil {
			return Week{}, err
		}
		for _, word := range words[1:] {
			s, err := parseSpan(word)
			if err != nil {
				return Week{}, err
			}
			for day := first; ; day = (day + 1) % 7 {
				if w[day] = append(w[day], s); len(w[day]) > daySpans {
					return Week{}, fmt.Errorf("routing: %s has more than %d spans", dayNames[day], daySpans)
				}
				if day == last {
					break
				}
			}
		}
	}
	return w, nil
}

// parseDays reads "Mon" or "Mon-Fri", which may go round the week's end.
func parseDays(s string) (first, last time.Weekday, err error) {
	from, to, many := strings.Cut(s, "-")
	if !many {
		to = from
	}
	first, ok := parseDay(from)
	last, also := parseDay(to)
	if !ok || !also {
		return 0, 0, fmt.Errorf("routing: %q is not a day such as Mon, or days such as Mon-Fri", s)
	}
	return first, last, nil
}

func parseDay(s string) (time.Weekday, bool) {
	for i, name := range dayNames {
		if strings.EqualFold(s, name) {
			return time.Weekday(i), true
		}
	}
	return 0, false
}

func parseSpan(s string) (Span, error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return Span{}, fmt.Errorf("routing: %q is not a span such as 09:00-18:00", s)
	}
	begin, err := ParseClock(from)
	if err != nil {
		return Span{}, err
	}
	end, err := ParseClock(to)
	if err != nil {
		return Span{}, err
	}
	span := Span{begin, end}
	return span, span.validate()
}

// String returns w as ParseWeek reads it.
func (w Week) String() string {
	var b strings.Builder
	for _, day := range []time.Weekday{1, 2, 3, 4, 5, 6, 0} { // as people count them
		if len(w[day]) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(dayNames[day])
		for _, s := range w[day] {
			b.WriteString(" " + s.String())
		}
	}
	return b.String()
}
