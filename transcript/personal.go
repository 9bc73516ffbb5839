package transcript

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Personal is a Redactor of what identifies people and pays their bills, by its
// form: long numbers (of cards, telephones, accounts), IBANs, e-mail addresses,
// and codes that were asked for as such (a PIN, the digits on the back of a
// card). A mark such as "[number]" stands in their place; the times of words
// stay.
//
// Numbers count however they are written (in groups, with signs between, in the
// digits of any script) or said, digit by digit ("four one double one" in
// English, German, Spanish and French), and across segments of one speaker. Up to Digits of them
// are left, as in a house number; so at most that many digits are shown of a
// number that comes in pieces, which is what PCI DSS 4.0 (requirement 3.4.1)
// allows to be shown of a card. Whether a long number is that of a card does not
// matter to whether it is taken out, only to its mark: one digit that was
// misheard makes any check fail.
//
// What has no form is not found: names, addresses, a number told in a story, and
// numbers that other words interrupt after every few digits. An address that is
// spelled ("jo at example dot com") is known by its end, and interim versions
// before that show its beginning.
type Personal struct {
	// Digits is how many digits in a row are left. Zero means 6; at most 12,
	// below what a card has.
	Digits int
}

const (
	defaultDigits = 6
	maxDigits     = 12

	// numberPause is how long a speaker may pause within a number.
	numberPause = 20 * time.Second
	// codeTime is for how long a code may come that was asked for.
	codeTime = 30 * time.Second
)

// The marks of what was taken out.
const (
	markNumber = "[number]"
	markCard   = "[card number]"
	markIBAN   = "[iban]"
	markEmail  = "[e-mail]"
	markCode   = "[code]"
)

// Validate checks Digits.
func (p Personal) Validate() error {
	if p.Digits < 0 || p.Digits > maxDigits {
		return errors.New("transcript: Personal.Digits is not from 0 to 12")
	}
	return nil
}

// Redaction begins with one call.
func (p Personal) Redaction() func(Segment) Segment {
	r := &redaction{digits: cmp.Or(p.Digits, defaultDigits), numbers: make(map[Speaker]*number)}
	return r.redact
}

// redaction is what is remembered of one call.
type redaction struct {
	digits  int
	numbers map[Speaker]*number
	codes   time.Duration // until when a code may come
}

// number is one that a speaker may not have come to the end of.
type number struct {
	digits int           // said before the segment id
	end    time.Duration // when the last of them was said

	// The same after the segment id, of which another version may come.
	id   string
	next struct {
		digits int
		end    time.Duration
	}
}

// cut is a stretch of a text that is taken out.
type cut struct {
	from, to int
	mark     string
}

func (r *redaction) redact(s Segment) Segment {
	n := r.numbers[s.Speaker]
	if n == nil {
		n = &number{}
		r.numbers[s.Speaker] = n
	}
	if s.ID == "" || s.ID != n.id {
		n.digits, n.end, n.id = n.next.digits, n.next.end, s.ID
	}
	if s.At-n.end > numberPause {
		n.digits = 0
	}
	text, words := s.Text, s.Words
	cuts := r.find(s, text, n, true)
	places, ok := locate(text, words)
	switch {
	case ok:
		s.Words = without(words, places, cuts)
	case len(cuts) > 0 || len(r.find(s, joined(words), n, false)) > 0:
		s.Words = nil // they cannot be told apart
	}
	s.Text = mask(text, cuts)
	return s
}

// find returns what is to be taken out of a text, in order. It remembers what a
// number that goes on has so far, if it is told to.
func (r *redaction) find(s Segment, text string, n *number, remember bool) []cut {
	all := tokens(text)
	cuts := slices.Concat(ibans(text), emails(text), spelled(all))
	asked := keyword(all)
	coded := asked || s.At < r.codes
	tail := 0
	if len(all) == 0 || !slices.ContainsFunc(all, func(t token) bool { return t.digits == "" && !t.filler }) {
		tail = n.digits
	}
	for _, run := range digitRuns(all) {
		total := len(run.digits)
		if run.first {
			total += n.digits
		}
		switch {
		case coded:
			cuts = append(cuts, cut{run.from, run.to, markCode})
		case total > r.digits && total == len(run.digits) && total >= 13 && total <= 19 && luhn(run.digits):
			cuts = append(cuts, cut{run.from, run.to, markCard})
		case total > r.digits:
			cuts = append(cuts, cut{run.from, run.to, markNumber})
		}
		if run.last {
			tail = total
		}
	}
	if remember {
		n.next.digits, n.next.end = tail, s.End
		if asked {
			r.codes = max(r.codes, s.End+codeTime)
		}
	}
	return merge(cuts)
}

// keyword reports whether words ask for a secret code, or tell one.
func keyword(all []token) bool {
	for i, t := range all {
		next, third := wordAt(all, i+1), wordAt(all, i+2)
		switch {
		case secrets[t.word],
			next == "code" && codeNames[t.word],
			t.word == "c" && next == "v" && (third == "v" || third == "c"):
			return true
		}
	}
	return false
}

func wordAt(all []token, i int) string {
	if i >= len(all) {
		return ""
	}
	return all[i].word
}

var (
	secrets   = set(`cvv cvc cvn pin pins passcode password kennwort passwort prüfziffer geheimzahl contraseña clave`)
	codeNames = set(`security verification access secret pin tan one-time`)
)

// emailWritten is anything around an at sign.
var emailWritten = regexp.MustCompile(`[^\s@]*\s?@\s?[^\s@]*`)

func emails(text string) (cuts []cut) {
	for _, m := range emailWritten.FindAllStringIndex(text, -1) {
		cuts = append(cuts, cut{m[0], m[1], markEmail})
	}
	return cuts
}

// spelled finds "jo dot smith at example dot com".
func spelled(all []token) (cuts []cut) {
	for i, t := range all {
		if t.word != "at" || i == 0 || i+1 == len(all) {
			continue
		}
		last := i + 1
		for last+2 < len(all) && connects[all[last+1].word] {
			last += 2
		}
		if last == i+1 && !mailHosts[all[last].word] {
			continue
		}
		first := i - 1
		for first > 0 && (connects[all[first-1].word] || connects[all[first].word] || single(all[first-1])) {
			first--
		}
		cuts = append(cuts, cut{all[first].from, all[last].to, markEmail})
	}
	return cuts
}

// single reports whether t is a letter or digits, as in what is spelled.
func single(t token) bool { return t.digits != "" || len([]rune(t.word)) == 1 }

var (
	connects  = set(`dot punkt punto point underscore unterstrich dash hyphen minus bindestrich plus period`)
	mailHosts = set(`gmail googlemail hotmail yahoo outlook icloud gmx aol protonmail`)
)

// ibanLike has the form of ISO 13616, with spaces or hyphens between groups.
var ibanLike = regexp.MustCompile(`(?i)\b[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]{1,4}){3,9}`)

func ibans(text string) (cuts []cut) {
	for _, m := range ibanLike.FindAllStringIndex(text, -1) {
		// What follows may look like a part of it.
		for to := m[1]; to > m[0]; to-- {
			if last := text[to-1]; last != ' ' && last != '-' && isIBAN(text[m[0]:to]) {
				cuts = append(cuts, cut{m[0], to, markIBAN})
				break
			}
		}
	}
	return cuts
}

// isIBAN checks the two digits at its beginning (ISO 7064, MOD 97-10).
func isIBAN(s string) bool {
	s = strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(s))
	if len(s) < 15 || len(s) > 34 {
		return false
	}
	rest := 0
	for _, c := range []byte(s[4:] + s[:4]) {
		switch {
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'a' && c <= 'z':
			rest = (rest*100 + int(c-'a') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}

// merge puts cuts in order; those that overlap become one, with the mark of the
// first.
func merge(cuts []cut) []cut {
	slices.SortStableFunc(cuts, func(a, b cut) int { return cmp.Compare(a.from, b.from) })
	merged := cuts[:0]
	for _, c := range cuts {
		if n := len(merged); n > 0 && c.from < merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, c.to)
			continue
		}
		merged = append(merged, c)
	}
	return merged
}

// mask puts marks in the place of what is cut.
func mask(text string, cuts []cut) string {
	var b strings.Builder
	at := 0
	for _, c := range cuts {
		b.WriteString(text[at:c.from])
		b.WriteString(c.mark)
		at = c.to
	}
	b.WriteString(text[at:])
	return b.String()
}

// locate finds words in their text. It fails if one is not there.
func locate(text string, words []Word) (places []cut, ok bool) {
	at := 0
	for _, w := range words {
		i := strings.Index(text[at:], w.Text)
		if i < 0 {
			return nil, false
		}
		places = append(places, cut{from: at + i, to: at + i + len(w.Text)})
		at += i + len(w.Text)
	}
	return places, true
}

// without returns words with one word for each cut, which lasts as long as those
// that it stands for.
func without(words []Word, places, cuts []cut) []Word {
	if len(cuts) == 0 {
		return words
	}
	var left []Word
	var last *cut // whose mark is the last word
	for i, w := range words {
		c := overlapping(cuts, places[i])
		switch {
		case c == nil:
			left = append(left, w)
		case c == last:
			mark := &left[len(left)-1]
			mark.End = max(mark.End, w.End)
			mark.Confidence = min(mark.Confidence, w.Confidence)
		default:
			w.Text = c.mark
			left = append(left, w)
		}
		last = c
	}
	return left
}

func overlapping(cuts []cut, place cut) *cut {
	for i := range cuts {
		if cuts[i].from < place.to && place.from < cuts[i].to {
			return &cuts[i]
		}
	}
	return nil
}

func joined(words []Word) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(w.Text)
		b.WriteByte(' ')
	}
	return b.String()
}
