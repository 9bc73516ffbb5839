package numbering

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // all zones everywhere: without them no hours could be kept

	"github.com/nyaruka/phonenumbers"
)

// zonesOf returns the zones in which a number may ring, as Info.Zones says.
//
// libphonenumber has zones for prefixes, which are good for area codes only. It
// has one zone for the mobile numbers of Australia, of Indonesia and of Russia;
// and where a country's clocks agree with those of another most of the time, it
// has the other's: Paris for Algiers, which has no summer time, and is an hour
// behind in July. So a zone counts only if it lies in the country, which IANA
// knows.
func zonesOf(info Info, countryCode int) []*time.Location {
	switch {
	case info.Region == "":
		return nil
	case hasAreaCode(info):
		if local := among(zoneNames(info.Number), zonesOfRegion(info.Region)); len(local) > 0 {
			return local
		}
		return slices.Clone(zonesOfRegion(info.Region))
	case info.Kind == Mobile:
		return slices.Clone(zonesOfRegion(info.Region))
	}
	var all []*time.Location
	for _, region := range phonenumbers.GetRegionCodesForCountryCode(countryCode) {
		all = append(all, zonesOfRegion(region)...)
	}
	return all
}

// hasAreaCode reports whether a number begins with the code of an area. In
// Brazil mobile numbers do, too (Anatel, Resolução 749/2022).
func hasAreaCode(info Info) bool {
	return info.Kind == Fixed || info.Kind == FixedOrMobile || info.Kind == Mobile && info.Region == "BR"
}

// among returns the zones that have one of the names.
func among(names []string, zones []*time.Location) []*time.Location {
	var found []*time.Location
	for _, zone := range zones {
		if slices.Contains(names, zone.String()) {
			found = append(found, zone)
		}
	}
	return found
}

// zoneTab is the table of that name in release 2025b of IANA's time zone
// database, which is in the public domain.
//
//go:embed zone.tab
var zoneTab string

// neighbors are regions with a numbering plan of their own that zone.tab counts
// to another region.
var neighbors = map[string]string{"AC": "SH", "TA": "SH", "XK": "RS"}

// zonesOfRegion returns the zones of a region, which are not to be changed. If
// one of them cannot be loaded there are none, as if nothing were known.
func zonesOfRegion(region string) []*time.Location {
	if n, ok := neighbors[region]; ok {
		region = n
	}
	return zonesByRegion()[region]
}

var zonesByRegion = sync.OnceValue(func() map[string][]*time.Location {
	zones := make(map[string][]*time.Location)
	broken := make(map[string]bool)
	for line := range strings.Lines(zoneTab) {
		fields := strings.Fields(line) // country, coordinates, zone, comments
		if strings.HasPrefix(line, "#") || len(fields) < 3 {
			continue
		}
		region := fields[0]
		zone, err := time.LoadLocation(fields[2])
		if err != nil {
			broken[region] = true
			continue
		}
		zones[region] = append(zones[region], zone)
	}
	for region := range broken {
		delete(zones, region)
	}
	return zones
})
