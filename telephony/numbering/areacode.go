package numbering

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"

	"github.com/switchboard-voice/switchboard/telephony"
)

// zoneNames returns the names of the zones of a number with an area code, as
// libphonenumber calls them.
func zoneNames(n telephony.Number) []string {
	if code, ok := strings.CutPrefix(string(n), "+1"); ok {
		return zoneNamesOfArea(code[:3])
	}
	// An error comes with no names.
	names, _ := phonenumbers.GetTimezonesForPrefix(string(n))
	return names
}

// overlays are area codes laid over another that a border of time zones runs
// through (planning letters of the North American Numbering Plan Administrator).
// They are too young for libphonenumber to know their exchanges.
var overlays = map[string]string{
	"236": "250", "672": "250", "778": "250", // British Columbia
	"364": "270",               // Kentucky
	"367": "418", "581": "418", // Quebec
	"448": "850", // Florida
	"458": "541", // Oregon
	"729": "423", // Tennessee
	"879": "709", // Newfoundland
	"930": "812", // Indiana
	"986": "208", // Idaho
}

// areas remembers the zones of North American area codes, of which there are at
// most 800.
var areas sync.Map // of string to []string

// zoneNamesOfArea returns the zones of all exchanges of a North American area
// code. libphonenumber knows some of the exchanges beyond a border of zones, and
// takes the others to be on the side where most are; since a number may be taken
// along within an area, all of it counts.
func zoneNamesOfArea(code string) []string {
	if known, ok := areas.Load(code); ok {
		return known.([]string)
	}
	codes := []string{code}
	if older, ok := overlays[code]; ok {
		codes = append(codes, older)
	}
	var all []string
	for _, area := range codes {
		for exchange := 200; exchange < 1000; exchange++ {
			names, _ := phonenumbers.GetTimezonesForPrefix(fmt.Sprintf("1%s%d", area, exchange))
			all = append(all, names...)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	areas.Store(code, all)
	return all
}
