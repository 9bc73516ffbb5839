package transcript

// A Redactor takes out of words what must not be kept. Where a host has one, no
// word is stored, told, logged or shown to anybody but the call's own agent
// before it was asked: live words, interim ones too, words made out from a
// recording, and what an agent says of its own. Sound is not touched: a recording
// holds what was said, and the recogniser has heard it.
type Redactor interface {
	// Redaction begins with one call. The function takes each segment as it
	// becomes known and returns it as it may be kept. It is called by one
	// goroutine at a time, and may remember what it has seen: a number is often
	// said in several segments. Segment.Words are shared, so it makes new ones
	// where it changes them.
	//
	// If it panics, or is slow, the words are withheld.
	Redaction() func(Segment) Segment
}

// RedactorFunc is a Redactor that looks at each segment for itself. Many
// goroutines call it at once.
type RedactorFunc func(Segment) Segment

// Redaction returns f.
func (f RedactorFunc) Redaction() func(Segment) Segment { return f }

// Withheld stands where words were, if a Redactor failed.
const Withheld = "[withheld]"

// Withhold is s without its words.
func (s Segment) Withhold() Segment {
	if s.Text != "" || s.Words != nil {
		s.Text, s.Words = Withheld, nil
	}
	return s
}
