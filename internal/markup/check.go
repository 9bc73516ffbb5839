package markup

import (
	"errors"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// The parts of an answer that carriers read letter by letter.
var (
	errKeys       = errors.New("keys are 0-9 * # and w")
	errConference = errors.New("the name of a conference is 1 to 64 of a-z A-Z 0-9 _ -")
)

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// Check reports what of an answer no carrier would carry out as it is meant.
func Check(a *telephony.Answer) error {
	if a.Reject != telephony.RejectNone {
		return nil // the rest does not matter
	}
	if !only(a.Keys, digits+"*#w") {
		return errKeys
	}
	if c := a.Conference; c != nil && (c.Name == "" || len(c.Name) > 64 || !only(c.Name, digits+letters+"_-")) {
		return errConference
	}
	return nil
}

func only(s, set string) bool { return strings.Trim(s, set) == "" }
