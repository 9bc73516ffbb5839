package numbering

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/switchboard-voice/switchboard/telephony"
)

func TestZones(t *testing.T) {
	for _, tt := range []struct {
		name   string
		number telephony.Number
		zones  string // in the order of zone.tab
	}{
		{"an area code has a zone", "+12025550100", "America/New_York"},
		{"an area code may have two", "+18505550100", "America/New_York America/Chicago"},
		{"and so has one laid over it", "+14485550100", "America/New_York America/Chicago"},
		{"or three", "+16055550100", "America/Chicago America/North_Dakota/Center America/Denver"},
		{"British Columbia is not all on the Pacific's time", "+12362345678", "America/Edmonton America/Vancouver"},
		{"Hawaii", "+18082345678", "Pacific/Honolulu"},
		{"an island of America's code", "+18765551234", "America/Jamaica"},
		{"Perth's code reaches beyond the border", "+61892345678", "Australia/Adelaide Australia/Perth"},
		{"an Australian mobile rings anywhere there", "+61491570156",
			"Australia/Lord_Howe Antarctica/Macquarie Australia/Hobart Australia/Melbourne Australia/Sydney " +
				"Australia/Broken_Hill Australia/Brisbane Australia/Lindeman Australia/Adelaide Australia/Darwin " +
				"Australia/Perth Australia/Eucla"},
		{"an Indonesian mobile, too", "+62812345678", "Asia/Jakarta Asia/Pontianak Asia/Makassar Asia/Jayapura"},
		{"and a Spanish one", "+34612345678", "Europe/Madrid Africa/Ceuta Atlantic/Canary"},
		{"Madrid", "+34911234567", "Europe/Madrid"},
		{"a Brazilian mobile has an area code", "+5511961234567", "America/Sao_Paulo"},
		{"Algiers is not Paris", "+21321234567", "Africa/Algiers"},
		{"Tripoli is not Bucharest", "+218212345678", "Africa/Tripoli"},
		{"Casablanca is not the Canaries", "+212520123456", "Africa/Casablanca"},
		{"Managua is not Chicago", "+50521234567", "America/Managua"},
		{"Dublin is not Guernsey", "+35312345678", "Europe/Dublin"},
		{"a zone under its new name", "+911123456789", "Asia/Kolkata"},
		{"Kosovo is on the clock of Belgrade", "+38328012345", "Europe/Belgrade"},
		{"Ascension is on that of St Helena", "+24762889", "Atlantic/St_Helena"},
		{"a satellite is nowhere", "+881612345678", ""},
		{"what is free from everywhere is nowhere", "+80012345678", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info, err := Check(tt.number)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(info.Zones); got != tt.zones {
				t.Errorf("%s, not %s", got, tt.zones)
			}
		})
	}
}

func TestZonesOfFreeNumberAreThoseOfItsCode(t *testing.T) {
	info, err := Check("+18005551234")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"America/New_York", "Pacific/Honolulu", "America/Vancouver", "America/Jamaica", "Pacific/Guam"} {
		if !strings.Contains(names(info.Zones), want) {
			t.Errorf("%s is not among them", want)
		}
	}
}

// A caller may change what it got without harm to the next.
func TestZonesAreTheCallers(t *testing.T) {
	for _, n := range []telephony.Number{"+61491570156", "+21321234567", "+12025550100", "+18005551234"} {
		info, err := Check(n)
		if err != nil {
			t.Fatal(err)
		}
		want := names(info.Zones)
		clear(info.Zones)
		if info, err = Check(n); err != nil || names(info.Zones) != want {
			t.Errorf("%s: %v, %v", string(n), names(info.Zones), err)
		}
	}
}

// Each number of a country has a zone, and each is one of that country's.
func TestZonesOfEveryRegion(t *testing.T) {
	for region := range phonenumbers.GetSupportedRegions() {
		ours := zonesOfRegion(region)
		if len(ours) == 0 {
			t.Errorf("%s has no zone", region)
		}
		for _, planned := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE} {
			example := phonenumbers.GetExampleNumberForType(region, planned)
			if example == nil {
				continue
			}
			info, err := Check(telephony.Number(phonenumbers.Format(example, phonenumbers.E164)))
			if err != nil {
				t.Errorf("%s: %v", region, err)
				continue
			}
			if len(info.Zones) == 0 {
				t.Errorf("%s, %v: no zone", region, planned)
			}
			for _, zone := range info.Zones {
				if !slices.Contains(zonesOfRegion(info.Region), zone) {
					t.Errorf("%s, %v: %s is elsewhere", region, planned, zone)
				}
			}
		}
	}
}

// Every line of zone.tab can be read, so that no country's zones are left out.
func TestZoneTabIsWhole(t *testing.T) {
	var lines, zones int
	for line := range strings.Lines(zoneTab) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	for _, z := range zonesByRegion() {
		zones += len(z)
	}
	if lines != zones || zones < 400 {
		t.Errorf("%d zones of %d lines", zones, lines)
	}
}

func names(zones []*time.Location) string {
	var all []string
	for _, zone := range zones {
		all = append(all, zone.String())
	}
	return strings.Join(all, " ")
}
