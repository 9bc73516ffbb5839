package numbering

import (
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Kind is what a number is for, as far as its plan tells.
type Kind uint8

// The kinds of numbers.
const (
	Unknown       Kind = iota
	Fixed              // a line at a place
	Mobile             // a mobile telephone
	FixedOrMobile      // either: the plan does not tell, as in North America
	TollFree           // whoever is called pays
	Premium            // the caller pays, and whoever is called earns
	SharedCost         // both pay, at a rate of its own
	VoIP               // a line at no place
	Personal           // follows its owner, at the caller's cost
	Pager
	Company   // one number for all offices of a company
	Voicemail // a mailbox
	Satellite // a telephone that costs several dollars a minute to reach
	Network   // a line of a worldwide network, at rates of its own
)

var kindNames = [...]string{
	Unknown:       "unknown",
	Fixed:         "fixed",
	Mobile:        "mobile",
	FixedOrMobile: "fixed_or_mobile",
	TollFree:      "toll_free",
	Premium:       "premium",
	SharedCost:    "shared_cost",
	VoIP:          "voip",
	Personal:      "personal",
	Pager:         "pager",
	Company:       "company",
	Voicemail:     "voicemail",
	Satellite:     "satellite",
	Network:       "network",
}

// String returns the name of k, such as "shared_cost".
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", k)
	}
	return kindNames[k]
}

// ofPlan are the kinds that libphonenumber tells apart.
var ofPlan = map[phonenumbers.PhoneNumberType]Kind{
	phonenumbers.FIXED_LINE:           Fixed,
	phonenumbers.MOBILE:               Mobile,
	phonenumbers.FIXED_LINE_OR_MOBILE: FixedOrMobile,
	phonenumbers.TOLL_FREE:            TollFree,
	phonenumbers.PREMIUM_RATE:         Premium,
	phonenumbers.SHARED_COST:          SharedCost,
	phonenumbers.VOIP:                 VoIP,
	phonenumbers.PERSONAL_NUMBER:      Personal,
	phonenumbers.PAGER:                Pager,
	phonenumbers.UAN:                  Company,
	phonenumbers.VOICEMAIL:            Voicemail,
}

// ofCode are country codes whose numbers are all of one kind, which
// libphonenumber takes for mobile or VoIP. The codes, and the networks within 882
// and 883, are from the list of ITU-T Recommendation E.164 assigned country codes
// (annex to ITU Operational Bulletin 1114). The first prefix that fits counts.
var ofCode = []struct {
	prefix string
	kind   Kind
}{
	{"+870", Satellite},   // Inmarsat
	{"+878", Personal},    // Universal Personal Telecommunication Service
	{"+881", Satellite},   // Global Mobile Satellite System
	{"+88216", Satellite}, // Thuraya
	{"+882", Network},
	{"+883", Network},
}

func kindOf(number string, planned phonenumbers.PhoneNumberType) Kind {
	for _, c := range ofCode {
		if strings.HasPrefix(number, c.prefix) {
			return c.kind
		}
	}
	return ofPlan[planned]
}
