package transcript_test

import (
	"fmt"

	"github.com/switchboard-voice/switchboard/transcript"
)

// What a redactor has seen before counts: numbers come in pieces.
func ExamplePersonal() {
	redact := transcript.Personal{}.Redaction()
	for _, text := range []string{
		"My card is 4111 1111",
		"1111 1111, and I live at number 12.",
		"Write to jo@example.com.",
	} {
		fmt.Println(redact(transcript.Segment{Speaker: transcript.Customer, Text: text, Final: true}).Text)
	}
	// Output:
	// My card is [number]
	// [number], and I live at number 12.
	// Write to [e-mail]
}
