package telephony_test

import (
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony"
)

// A number is kept whole and printed masked.
func ExampleParseNumber() {
	n, err := telephony.ParseNumber("+12025550142")
	fmt.Println(n, string(n), err)

	_, err = telephony.ParseNumber("555-0142")
	fmt.Println(errors.Is(err, telephony.ErrInvalidNumber))
	// Output:
	// +1202*****42 +12025550142 <nil>
	// true
}
