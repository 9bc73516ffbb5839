package numbering

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"github.com/switchboard-voice/switchboard/telephony"
)

var (
	// ErrNoSuchNumber tells that a number has the right form, but that no plan
	// has it: nobody can be reached under it.
	ErrNoSuchNumber = errors.New("numbering: no such number")
	// ErrUnknownRegion tells that something is not the code of a region with a
	// numbering plan.
	ErrUnknownRegion = errors.New("numbering: unknown region")
)

// Info is what the plan of a country says about a number.
type Info struct {
	Number telephony.Number
	// Region is the ISO 3166-1 code of the country or territory, such as "US" or
	// "PR", or "" for a number of no country. Kosovo is "XK", Ascension "AC" and
	// Tristan da Cunha "TA".
	Region string
	Kind   Kind
	// Zones are the time zones in which the number may ring, so that whoever asks
	// for the time there has to ask in all of them. They are those of its area
	// code, if it has one, and otherwise those of the country: a mobile number of
	// Sydney rings in Perth. For a number that is called free of charge, or is
	// of no place for another reason, they are those of all countries that share
	// the country code. There are none for a number of no country.
	//
	// What no number tells is that a telephone travels, or that its owner took
	// the number along, as in North America, where mobile numbers have area codes.
	Zones []*time.Location
}

// longest is the most that is read of what people write.
const longest = 64

// Check returns what is known about n. The error wraps
// telephony.ErrInvalidNumber if n is not in E.164 form, and otherwise
// ErrNoSuchNumber if no plan has it, or has it under another spelling: the 0 in
// "+4402079460958" is not dialed from abroad.
//
// That a number can exist does not say that anybody has it.
func Check(n telephony.Number) (Info, error) {
	if !n.Valid() {
		return Info{}, fmt.Errorf("numbering: check: %w", telephony.ErrInvalidNumber)
	}
	planned, err := phonenumbers.Parse(string(n), phonenumbers.UNKNOWN_REGION)
	if err != nil {
		return Info{}, fmt.Errorf("%w: no such country code", ErrNoSuchNumber)
	}
	if phonenumbers.Format(planned, phonenumbers.E164) != string(n) {
		return Info{}, fmt.Errorf("%w: not as it is dialed from abroad", ErrNoSuchNumber)
	}
	return infoOf(planned)
}

// ParseLocal reads a number as people of a region write it: "(202) 555-0100" in
// "US", "020 7946 0958" or "+44 (0)20 7946 0958" in "GB", "0044 20 7946 0958" in
// "DE". region is an ISO 3166-1 code in capitals, or "" if only numbers with a
// plus sign are to be read.
//
// The error wraps telephony.ErrInvalidNumber if there is more in s than a
// number, letters and extensions included; ErrUnknownRegion; or ErrNoSuchNumber
// if the plan does not have the number. It does not repeat the number.
func ParseLocal(s, region string) (Info, error) {
	s = strings.TrimSpace(s)
	if problem := unlikeNumber(s); problem != "" {
		return Info{}, fmt.Errorf("numbering: %w: %s", telephony.ErrInvalidNumber, problem)
	}
	switch {
	case region != "" && !KnownRegion(region):
		return Info{}, fmt.Errorf("%w: %q", ErrUnknownRegion, region)
	case region == "" && !strings.HasPrefix(s, "+"):
		return Info{}, fmt.Errorf("%w: needed for a number without a plus sign", ErrUnknownRegion)
	case region == "":
		region = phonenumbers.UNKNOWN_REGION
	}
	planned, err := phonenumbers.Parse(s, region)
	switch {
	case errors.Is(err, phonenumbers.ErrNotANumber):
		return Info{}, fmt.Errorf("numbering: %w: too few digits", telephony.ErrInvalidNumber)
	case err != nil:
		return Info{}, fmt.Errorf("%w: %s", ErrNoSuchNumber, parseProblem(err))
	}
	return infoOf(planned)
}

// KnownRegion reports whether region is the ISO 3166-1 code of a country or
// territory with a numbering plan, in capitals.
func KnownRegion(region string) bool {
	return phonenumbers.GetCountryCodeForRegion(region) != 0
}

// unlikeNumber says why s is not how people write a number, if it is not.
func unlikeNumber(s string) string {
	switch {
	case s == "":
		return "empty"
	case len(s) > longest:
		return "too long"
	}
	for i, r := range s {
		switch {
		case unicode.IsDigit(r), unicode.Is(unicode.Zs, r), strings.ContainsRune("()-./‐‑–", r):
		case r == '+' && i == 0:
		default:
			return fmt.Sprintf("unexpected character %q", r)
		}
	}
	return ""
}

// parseProblem says why a number could not be read, without repeating it.
func parseProblem(err error) string {
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return "no such country code"
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return "too long"
	}
	return "too short"
}

// infoOf returns what is known about a number that could be read.
func infoOf(planned *phonenumbers.PhoneNumber) (Info, error) {
	n := telephony.Number(phonenumbers.Format(planned, phonenumbers.E164))
	switch phonenumbers.IsPossibleNumberWithReason(planned) {
	case phonenumbers.TOO_SHORT:
		return Info{}, fmt.Errorf("%w: too short", ErrNoSuchNumber)
	case phonenumbers.TOO_LONG:
		return Info{}, fmt.Errorf("%w: too long", ErrNoSuchNumber)
	}
	if !n.Valid() || !phonenumbers.IsValidNumber(planned) {
		return Info{}, fmt.Errorf("%w: no such range", ErrNoSuchNumber)
	}
	info := Info{
		Number: n,
		Region: phonenumbers.GetRegionCodeForNumber(planned),
		Kind:   kindOf(string(n), phonenumbers.GetNumberType(planned)),
	}
	if info.Region == world {
		info.Region = ""
	}
	info.Zones = zonesOf(info, int(planned.GetCountryCode()))
	return info, nil
}

// world is what libphonenumber calls the region of numbers of no country, after
// UN M49.
const world = "001"
