package call

import (
	"time"
	"unicode"
)

// speakingRate is how many letters a second are spoken, about; it serves where
// the length of an utterance is not known.
const speakingRate = 15

// heavy is how many letters one sign counts for in scripts that write a syllable
// or a word with it. Speakers of Chinese and Japanese say some five to seven such
// signs a second (Pellegrino, Coupé and Marsico, Language 87, 2011), of Latin
// script about fifteen letters.
const heavy = 2.5

// heardWords cuts text to what fits into what was heard of the whole, at the end
// of a word; in scripts without spaces between words, after a sign.
func heardWords(text string, heard, whole time.Duration) string {
	room := heard.Seconds() * speakingRate
	if whole > 0 {
		room = letters(text) * float64(heard) / float64(whole)
	}
	end := 0 // of the last that fits
	said := 0.0
	runes := []rune(text)
	for i, r := range runes {
		said += lettersOf(r)
		if said > room {
			return string(runes[:end])
		}
		if i+1 == len(runes) || mayBreak(r, runes[i+1]) {
			end = i + 1
			if unicode.IsSpace(r) {
				end = i
			}
		}
	}
	return text
}

// mayBreak reports whether a text may be cut between two signs: at spaces, and
// around signs of scripts that have none between words (after Unicode Standard
// Annex 14, of which this is the part that matters here). What belongs to the sign
// before it, marks and punctuation, stays with it.
func mayBreak(r, next rune) bool {
	switch {
	case joins(next) || r == joiner:
		return false
	case unicode.IsSpace(next):
		return true
	}
	return unicode.IsSpace(r) || unspaced(r) || unspaced(next)
}

const joiner = '\u200d'

// joins reports whether r belongs to what is before it.
func joins(r rune) bool {
	return unicode.IsMark(r) || unicode.IsPunct(r) || r == joiner ||
		r >= 0x1F3FB && r <= 0x1F3FF || // shades of skin
		unicode.Is(unicode.Thai, r) && (r == 'ะ' || r == 'า' || r == 'ำ' || r == 'ๅ' || r == 'ๆ' || r == 'ฯ') ||
		unicode.Is(unicode.Lm, r) // such as the long vowel of katakana
}

// unspaced reports whether r is of a script that has no spaces between words.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func letters(text string) (sum float64) {
	for _, r := range text {
		sum += lettersOf(r)
	}
	return sum
}

func lettersOf(r rune) float64 {
	switch {
	case unicode.IsMark(r), unicode.IsPunct(r):
		return 0 // takes no time of its own
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
		return heavy
	}
	return 1
}
