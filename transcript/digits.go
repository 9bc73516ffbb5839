package transcript

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token is a word or a number in a text; what is between tokens means nothing.
type token struct {
	from, to int // bytes
	word     string
	digits   string // what it adds to a number; "" for other words
	filler   bool   // may stand within a number
}

// tokens splits a text into words and numbers.
func tokens(text string) (all []token) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		kind := kindOf(r)
		from := i
		for i += size; i < len(text) && kind != nil; i += size {
			if r, size = utf8.DecodeRuneInString(text[i:]); !kind(r) {
				break
			}
		}
		if kind == nil {
			continue
		}
		t := token{from: from, to: i}
		if first, _ := utf8.DecodeRuneInString(text[from:]); isDigit(first) {
			t.digits = written(text[from:i])
		} else {
			t.word = strings.ToLower(text[from:i])
		}
		all = append(all, t)
	}
	return spoken(all)
}

func isDigit(r rune) bool { return unicode.IsNumber(r) }

func isLetter(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || r == '\'' || r == '’'
}

func kindOf(r rune) func(rune) bool {
	switch {
	case isDigit(r):
		return isDigit
	case isLetter(r):
		return isLetter
	}
	return nil
}

// written are digits of any script as those of ASCII. Numbers that are no digits,
// such as a half, count as one.
func written(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(digitOf(r))
	}
	return b.String()
}

func digitOf(r rune) byte {
	for _, block := range unicode.Nd.R16 {
		if r >= rune(block.Lo) && r <= rune(block.Hi) {
			return '0' + byte((r-rune(block.Lo))%10)
		}
	}
	for _, block := range unicode.Nd.R32 {
		if r >= rune(block.Lo) && r <= rune(block.Hi) {
			return '0' + byte((r-rune(block.Lo))%10)
		}
	}
	return '0'
}

// spoken gives number words their digits: "forty one" is 41, "double five" 55,
// "eight hundred" 800.
func spoken(all []token) []token {
	for i := range all {
		t := &all[i]
		if t.digits != "" {
			continue
		}
		t.filler = fillers[t.word]
		d := numberWords[t.word]
		if d == "" {
			continue
		}
		var before token
		if i > 0 {
			before = all[i-1]
		}
		switch {
		case d[0] == 'x': // takes effect on the next one
			t.filler = true
			continue
		case d == "00" || d == "000":
			if before.digits == "" {
				continue
			}
		case len(d) == 1 && d != "0" && before.word != "" && len(before.digits) == 2 && before.digits[1] == '0' && before.digits[0] > '1':
			all[i-1].digits = before.digits[:1] // "forty" before "one"
		case len(d) == 1:
			switch numberWords[before.word] {
			case "x2":
				d += d
			case "x3":
				d += d + d
			}
		}
		t.digits = d
	}
	return all
}

// numberWords are numbers as they are said when one tells the digits of another,
// in English, German, Spanish and French. The letter x is how often the next
// digit is meant.
var numberWords = map[string]string{
	"zero": "0", "oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0",
	"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "fife": "5", "six": "6",
	"seven": "7", "eight": "8", "nine": "9", "niner": "9", "ten": "10", "eleven": "11",
	"twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16",
	"seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20", "thirty": "30",
	"forty": "40", "fourty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
	"eighty": "80", "ninety": "90", "hundred": "00", "thousand": "000", "double": "x2",
	"triple": "x3", "treble": "x3",

	"null": "0", "eins": "1", "ein": "1", "eine": "1", "zwei": "2", "zwo": "2", "drei": "3", "vier": "4", "fünf": "5",
	"sechs": "6", "sieben": "7", "acht": "8", "neun": "9", "zehn": "10", "elf": "11", "zwölf": "12",
	"doppel": "x2", "dreifach": "x3",

	"cero": "0", "uno": "1", "dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "seis": "6",
	"siete": "7", "ocho": "8", "nueve": "9", "diez": "10", "once": "11", "doce": "12",

	"zéro": "0", "un": "1", "deux": "2", "trois": "3", "quatre": "4", "cinq": "5", "sept": "7",
	"huit": "8", "neuf": "9", "dix": "10", "onze": "11", "douze": "12",
}

// fillers are said between the digits of a number, or heard in their place.
var fillers = set(`um uh uhm er erm ah and then so okay ok yes yeah space dash hyphen minus dot
point comma slash stroke for to too won ate tree ähm äh und dann strich leerzeichen ja y luego
guion sí euh et puis tiret oui`)

func set(words string) map[string]bool {
	all := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		all[w] = true
	}
	return all
}

// A digitRun is a number in a text, however it is written or said.
type digitRun struct {
	from, to int // bytes
	digits   string
	first    bool // no other words before it
	last     bool // no other words after it
}

// digitRuns are the numbers among tokens. Nothing but words that are no fillers
// is between two of them.
func digitRuns(all []token) (runs []digitRun) {
	broken := true // by a word, since the last number
	words := false // there was any
	for _, t := range all {
		switch {
		case t.digits == "":
			if !t.filler {
				broken, words = true, true
				if len(runs) > 0 {
					runs[len(runs)-1].last = false
				}
			}
		case broken || len(runs) == 0:
			runs = append(runs, digitRun{t.from, t.to, t.digits, !words, true})
			broken = false
		default:
			r := &runs[len(runs)-1]
			r.to = t.to
			r.digits += t.digits
		}
	}
	return runs
}

// luhn reports whether the last digit checks the others as on cards (ISO/IEC
// 7812-1, annex B).
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
