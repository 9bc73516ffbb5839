package transcript

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPersonalTakesOut(t *testing.T) {
	for _, tt := range []struct{ name, said, kept string }{
		{"a card number in groups", "It is 4111 1111 1111 1111, thank you.", "It is [card number], thank you."},
		{"with hyphens", "4111-1111-1111-1111", "[card number]"},
		{"with full stops, as recognisers write pauses", "My card is 4111. 1111. 1111. 1111. Got it?", "My card is [card number]. Got it?"},
		{"of fifteen digits", "Amex 3782 822463 10005 please", "Amex [card number] please"},
		{"with one digit misheard", "it is 4111 1111 1111 1112 yes sir", "it is [number] yes sir"},
		{"said digit by digit", "it's four one one one, one one one one, one one one one, one one one one please", "it's [card number] please"},
		{"with doubled digits", "four triple one double one double one double one double one double one double one really", "[card number] really"},
		{"in pairs", "sure forty one eleven eleven eleven eleven eleven eleven eleven fine", "sure [card number] fine"},
		{"partly said, with hesitation", "four one one one um 1111 and then eleven eleven then 1111 great", "[card number] great"},
		{"in German", "vier eins eins eins eins eins eins eins bitte", "[number] bitte"},
		{"in digits of another script", "بطاقة ٤١١١ ١١١١ ١١١١ ١١١١ شكرا", "بطاقة [card number] شكرا"},
		{"in full-width digits", "４１１１１１１１１１１１１１１１", "[card number]"},
		{"a telephone number", "Call me at +1 (202) 555-0142 tomorrow.", "Call me at +[number] tomorrow."},
		{"an IBAN", "Send it to DE89 3704 0044 0532 0130 00 is my account", "Send it to [iban] is my account"},
		{"an IBAN with letters", "MT84 MALT 0110 0001 2345 MTLC AST0 01S", "[iban]"},
		{"an e-mail address", "Write to jo.smith+x@mail.example.com please", "Write to [e-mail] please"},
		{"half an e-mail address", "Write to jo.smith@mai", "Write to [e-mail]"},
		{"a spelled e-mail address", "it is j o dot smith at example dot co dot uk okay", "it is [e-mail] okay"},
		{"one at a well-known host", "it is smith at gmail", "it is [e-mail]"},
		{"a code that is told", "my pin is 1 2 3 4", "my pin is [code]"},
		{"the digits on the back", "the C V V is seven three seven", "the C V V is [code]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Personal{}.Redaction()(Segment{Speaker: Customer, Text: tt.said, Final: true})
			if got.Text != tt.kept {
				t.Errorf("got  %q\nwant %q", got.Text, tt.kept)
			}
		})
	}
}

func TestPersonalLeaves(t *testing.T) {
	for _, text := range []string{
		"",
		"Order 123456 came on the third of May at 10:30.",
		"I live at 12 Baker Street, and my two sons are nine and twelve.",
		"Meet me at noon. It was one of the two.",
		"In 1984 there were 20 of them.",
		"Für dich, ab acht Uhr.",
	} {
		if got := (Personal{}).Redaction()(Segment{Speaker: Customer, Text: text, Final: true}); got.Text != text {
			t.Errorf("%q became %q", text, got.Text)
		}
	}
	got := Personal{Digits: 10}.Redaction()(Segment{Text: "order 1234567890 was it"})
	if got.Text != "order 1234567890 was it" {
		t.Errorf("with ten digits allowed: %q", got.Text)
	}
}

func TestPersonalNumberInPieces(t *testing.T) {
	redact := Personal{}.Redaction()
	var kept []string
	say := func(who Speaker, id, text string, at time.Duration, final bool) {
		got := redact(Segment{ID: id, Speaker: who, Text: text, At: at, End: at + time.Second, Final: final})
		kept = append(kept, got.Text)
	}
	say(Customer, "1", "It's 41", 0, false)
	say(Customer, "1", "It's 4111", 0, true)
	say(Agent, "1", "Mhm.", 2*time.Second, true)
	say(Customer, "2", "11", 3*time.Second, false)
	say(Customer, "2", "1111", 3*time.Second, false) // never final
	say(Customer, "3", "um", 5*time.Second, true)
	say(Customer, "4", "1111", 6*time.Second, true)
	say(Customer, "5", "1111 that's all", 8*time.Second, true)
	say(Customer, "6", "For 12 people", 10*time.Second, true)
	say(Customer, "7", "4111", 60*time.Second, true)
	want := []string{"It's 41", "It's 4111", "Mhm.", "11", "[number]", "um", "[number]", "[number] that's all", "For 12 people", "4111"}
	if fmt.Sprint(kept) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", kept, want)
	}
}

func TestPersonalCodeThatWasAskedFor(t *testing.T) {
	redact := Personal{}.Redaction()
	redact(Segment{Speaker: Agent, Text: "What is the security code?", At: time.Second, End: 3 * time.Second, Final: true})
	if got := redact(Segment{Speaker: Customer, Text: "Seven three seven", At: 5 * time.Second, Final: true}); got.Text != "[code]" {
		t.Errorf("the code is told: %q", got.Text)
	}
	if got := redact(Segment{Speaker: Customer, Text: "I have 3 of them", At: time.Minute, Final: true}); got.Text != "I have 3 of them" {
		t.Errorf("a minute later: %q", got.Text)
	}
}

func TestPersonalWords(t *testing.T) {
	word := func(text string, at int) Word {
		return Word{Text: text, At: time.Duration(at) * time.Second, End: time.Duration(at+1) * time.Second, Confidence: 0.5 + float64(at)/100}
	}
	words := []Word{word("Card", 0), word("4111", 1), word("1111", 2), word("1111", 3), word("1111.", 4), word("Thanks.", 5)}
	got := Personal{}.Redaction()(Segment{Text: "Card 4111 1111 1111 1111. Thanks.", Words: words, Final: true})
	want := []Word{word("Card", 0), {Text: "[card number]", At: time.Second, End: 5 * time.Second, Confidence: 0.51}, word("Thanks.", 5)}
	if fmt.Sprint(got.Words) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got.Words, want)
	}
	if words[1].Text != "4111" {
		t.Error("the words of others were changed")
	}

	// Words that are not in the text may hide what the text does not show.
	got = Personal{}.Redaction()(Segment{Text: "Thanks.", Words: words, Final: true})
	if got.Words != nil || got.Text != "Thanks." {
		t.Errorf("words beside the text are told: %v", got.Words)
	}
}

func TestPersonalValidate(t *testing.T) {
	for digits, ok := range map[int]bool{0: true, 12: true, 13: false, -1: false} {
		if err := (Personal{Digits: digits}).Validate(); (err == nil) != ok {
			t.Errorf("Digits %d: %v", digits, err)
		}
	}
}

// cardNumber is a random one of 13 to 19 digits that passes its check.
func cardNumber(r *rand.Rand) string {
	digits := []byte("4")
	for range 11 + r.IntN(7) {
		digits = append(digits, '0'+byte(r.IntN(10)))
	}
	for check := byte('0'); ; check++ {
		if n := string(append(digits, check)); luhn(n) {
			return n
		}
	}
}

// say writes digits in one of many ways, in one or more pieces.
func say(r *rand.Rand, digits string) (pieces []string) {
	separators := []string{"", " ", "-", " - ", ". ", ", ", "/", " – ", "\u00a0", "\u200b", "\n", " um ", " dash ", " and then ", "... "}
	names := []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	separator := separators[r.IntN(len(separators))]
	zero := []rune{'0', '0', '0', '٠', '０', '०'}[r.IntN(6)]
	spoken := r.IntN(3)
	var b strings.Builder
	for len(digits) > 0 {
		n := min(len(digits), 1+r.IntN(5))
		for i, d := range digits[:n] {
			switch {
			case spoken == 1 || spoken == 2 && r.IntN(2) == 0:
				b.WriteString(" " + names[d-'0'] + " ")
			default:
				b.WriteRune(zero + d - '0')
			}
			if i < n-1 && r.IntN(8) == 0 {
				b.WriteString(" ")
			}
		}
		digits = digits[n:]
		if len(digits) > 0 && r.IntN(4) == 0 {
			pieces = append(pieces, b.String())
			b.Reset()
			continue
		}
		if len(digits) > 0 {
			b.WriteString(separator)
		}
	}
	return append(pieces, b.String())
}

// digitsIn counts the digits that a text shows.
func digitsIn(text string) (n int) {
	for _, t := range tokens(text) {
		n += len(t.digits)
	}
	return n
}

func TestPersonalShowsNoCardNumber(t *testing.T) {
	numbers, leaks := 20_000, 0
	if testing.Short() {
		numbers = 5_000
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range numbers {
		card := cardNumber(r)
		redact := Personal{}.Redaction()
		pieces := say(r, card)
		pieces[0] = "My card is " + pieces[0]
		pieces[len(pieces)-1] += " thank you"
		shown, at := 0, time.Duration(0)
		var kept []string
		for i, piece := range pieces {
			s := Segment{ID: fmt.Sprint(i), Speaker: Customer, At: at, End: at + 2*time.Second}
			if cutAt := r.IntN(len(piece) + 1); utf8.ValidString(piece[:cutAt]) {
				s.Text = piece[:cutAt] // an interim version
				kept = append(kept, redact(s).Text)
			}
			s.Text, s.Final = piece, true
			final := redact(s).Text
			kept = append(kept, final)
			shown += digitsIn(final)
			at += time.Duration(r.IntN(15)) * time.Second
		}
		interim := 0
		for _, k := range kept {
			interim = max(interim, digitsIn(k))
		}
		if shown > defaultDigits || interim > defaultDigits {
			leaks++
			t.Errorf("%s, told as %q, is shown as %q", card, pieces, kept)
		}
		if leaks > 5 {
			t.FailNow()
		}
	}
	t.Logf("%d card numbers, %d leaks", numbers, leaks)
}

func FuzzPersonal(f *testing.F) {
	for _, text := range []string{"It is 4111 1111 1111 1111.", "four triple one", "a@b.c", "DE89 3704 0044 0532 0130 00", "my pin is 1", "\xff4111\xff1111", "x at y dot z", "²½٤"} {
		f.Add(text, 3)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		redact := Personal{}.Redaction()
		words := []Word{{Text: "4111 1111 1111 1111"}}
		for _, word := range strings.Fields(text) {
			words = append(words, Word{Text: word})
		}
		at = max(0, min(at, len(text)))
		for _, s := range []Segment{
			{ID: "1", Speaker: Customer, Text: text[:at]},
			{ID: "1", Speaker: Customer, Text: text, Words: words[1:], Final: true},
			{ID: "2", Speaker: Customer, Text: text, Words: words, Final: true},
		} {
			got := redact(s)
			for _, shown := range []string{got.Text, joined(got.Words)} {
				for _, run := range digitRuns(tokens(shown)) {
					if len(run.digits) > defaultDigits {
						t.Errorf("%q shows %q", s.Text, shown)
					}
				}
			}
		}
	})
}
