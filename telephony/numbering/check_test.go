package numbering

import (
	"errors"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"github.com/switchboard-voice/switchboard/telephony"
)

func TestCheckKnows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		number telephony.Number
		region string
		kind   Kind
	}{
		{"an American number does not tell a mobile", "+12025550100", "US", FixedOrMobile},
		{"a Canadian number", "+14165550100", "CA", FixedOrMobile},
		{"Jamaica shares America's code", "+18765551234", "JM", Mobile},
		{"Puerto Rico, too", "+17872345678", "PR", FixedOrMobile},
		{"an American number that is free", "+18005551234", "US", TollFree},
		{"an American number that costs", "+19005551234", "US", Premium},
		{"London", "+442079460958", "GB", Fixed},
		{"a British mobile", "+447400123456", "GB", Mobile},
		{"a British number that follows its owner", "+447012345678", "GB", Personal},
		{"a British number that costs", "+449012345678", "GB", Premium},
		{"a British number that costs less", "+448712345678", "GB", Premium},
		{"Jersey shares Britain's code", "+441534456789", "JE", Fixed},
		{"Berlin", "+493023125000", "DE", Fixed},
		{"a German mobile", "+4915223433333", "DE", Mobile},
		{"a German number that costs", "+499001234567", "DE", Premium},
		{"a German number whose cost is shared", "+4918012345678", "DE", SharedCost},
		{"Rome keeps its 0", "+390612345678", "IT", Fixed},
		{"an Italian number that costs", "+39899123456", "IT", Premium},
		{"Madrid", "+34911234567", "ES", Fixed},
		{"a French number that costs", "+33899123456", "FR", Premium},
		{"a number over the internet in France", "+33912345678", "FR", VoIP},
		{"a number of a Norwegian company", "+4781512345", "NO", Company},
		{"Singapore", "+6561234567", "SG", Fixed},
		{"Ivory Coast keeps its 0", "+2250707070707", "CI", Mobile},
		{"Kazakhstan shares Russia's code", "+77012345678", "KZ", Mobile},
		{"the Vatican shares Italy's", "+390669812345", "VA", Fixed},
		{"Kosovo", "+38328012345", "XK", Fixed},
		{"Ascension", "+24762889", "AC", Fixed},
		{"free from everywhere", "+80012345678", "", TollFree},
		{"shared from everywhere", "+80812345678", "", SharedCost},
		{"costly from everywhere", "+979123456789", "", Premium},
		{"Inmarsat", "+870773111632", "", Satellite},
		{"Iridium", "+881612345678", "", Satellite},
		{"Thuraya", "+8821612345678", "", Satellite},
		{"a worldwide network", "+883510001234567", "", Network},
		{"a universal personal number", "+878101234567890", "", Personal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info, err := Check(tt.number)
			if err != nil {
				t.Fatal(err)
			}
			if info.Number != tt.number || info.Region != tt.region || info.Kind != tt.kind {
				t.Errorf("%s is %s in %q, not %s in %q", string(info.Number), info.Kind, info.Region, tt.kind, tt.region)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		number telephony.Number
		err    error
		says   string
	}{
		{"nothing", "", telephony.ErrInvalidNumber, ""},
		{"no plus sign", "12025550100", telephony.ErrInvalidNumber, ""},
		{"an address", "sip:ann@example.com", telephony.ErrInvalidNumber, ""},
		{"more digits than any number has", "+1234567890123456", telephony.ErrInvalidNumber, ""},
		{"a country that is not there", "+999123456789", ErrNoSuchNumber, "no such country code"},
		{"a code kept for the future", "+888123456", ErrNoSuchNumber, "too short"},
		{"a digit missing", "+1202555010", ErrNoSuchNumber, "too short"},
		{"a digit too many", "+120255501001", ErrNoSuchNumber, "too long"},
		{"an area that is not there", "+15551234567", ErrNoSuchNumber, "no such range"},
		{"an exchange that begins with 1", "+12021550100", ErrNoSuchNumber, "no such range"},
		{"an emergency", "+49110110", ErrNoSuchNumber, ""},
		{"the 0 of London", "+4402079460958", ErrNoSuchNumber, "not as it is dialed from abroad"},
		{"Rome without its 0", "+39612345678", ErrNoSuchNumber, "no such range"},
		{"a mobile of Mexico as it was before 2019", "+5215512345678", ErrNoSuchNumber, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info, err := Check(tt.number)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%v, %v", info, err)
			}
			if strings.Count(err.Error(), "numbering: ") != 1 {
				t.Errorf("%q does not name the package once", err)
			}
			if n := string(tt.number); len(n) > 2 && strings.Contains(err.Error(), n) {
				t.Errorf("%q tells the number", err)
			}
		})
	}
}

func TestParseLocalReads(t *testing.T) {
	for _, tt := range []struct {
		name, s, region string
		number          telephony.Number
	}{
		{"American parentheses", "(202) 555-0100", "US", "+12025550100"},
		{"American dots", "202.555.0100", "US", "+12025550100"},
		{"a 1 before it", "1-202-555-0100", "US", "+12025550100"},
		{"another country of the same code", "(876) 555-1234", "US", "+18765551234"},
		{"from America abroad", "011 44 20 7946 0958", "US", "+442079460958"},
		{"a trunk 0", "020 7946 0958", "GB", "+442079460958"},
		{"a trunk 0 in parentheses", "+44 (0)20 7946 0958", "US", "+442079460958"},
		{"a trunk 0 that should not be there", "+44 020 7946 0958", "", "+442079460958"},
		{"from Germany abroad", "0044 20 7946 0958", "DE", "+442079460958"},
		{"a German slash", "030/23125-000", "DE", "+493023125000"},
		{"an Italian 0, which stays", "06 1234 5678", "IT", "+390612345678"},
		{"a Russian 8", "8 (912) 345-67-89", "RU", "+79123456789"},
		{"no break between", "202\u00a0555\u20110100", "US", "+12025550100"},
		{"Arabic digits", "٠٢٠٧٩٤٦٠٩٥٨", "GB", "+442079460958"},
		{"space around it", "\t+1 202 555 0100\n", "", "+12025550100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info, err := ParseLocal(tt.s, tt.region)
			if err != nil || info.Number != tt.number {
				t.Fatalf("%s, %v", string(info.Number), err)
			}
			if again, err := Check(info.Number); err != nil || again.Kind != info.Kind {
				t.Errorf("but Check says %v, %v", again, err)
			}
		})
	}
}

func TestParseLocalRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, s, region string
		err             error
	}{
		{"nothing", " ", "US", telephony.ErrInvalidNumber},
		{"no digit", "(--)", "US", telephony.ErrInvalidNumber},
		{"one digit", "5", "US", telephony.ErrInvalidNumber},
		{"words before it", "call 202 555 0100", "US", telephony.ErrInvalidNumber},
		{"letters for digits", "1-800-FLOWERS", "US", telephony.ErrInvalidNumber},
		{"an extension, which would be lost", "202-555-0100 ext. 5", "US", telephony.ErrInvalidNumber},
		{"an extension after a hash", "202 555 0100#5", "US", telephony.ErrInvalidNumber},
		{"a code that hides the caller", "*67 202 555 0100", "US", telephony.ErrInvalidNumber},
		{"a URI", "tel:+12025550100", "US", telephony.ErrInvalidNumber},
		{"a context that names another country", "2079460958;phone-context=+44", "US", telephony.ErrInvalidNumber},
		{"two lines", "202 555 0100\n202 555 0101", "US", telephony.ErrInvalidNumber},
		{"two plus signs", "+1+2025550100", "US", telephony.ErrInvalidNumber},
		{"a long row of digits", strings.Repeat("1", 65), "US", telephony.ErrInvalidNumber},
		{"two numbers", "2025550100/2025550101", "US", ErrNoSuchNumber},
		{"emergency", "911", "US", ErrNoSuchNumber},
		{"emergency in Germany", "112", "DE", ErrNoSuchNumber},
		{"a number without its area", "555-0100", "US", ErrNoSuchNumber},
		{"no region", "202 555 0100", "", ErrUnknownRegion},
		{"no such region", "202 555 0100", "XX", ErrUnknownRegion},
		{"small letters", "202 555 0100", "us", ErrUnknownRegion},
		{"the world", "202 555 0100", "001", ErrUnknownRegion},
		{"the unknown", "202 555 0100", "ZZ", ErrUnknownRegion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info, err := ParseLocal(tt.s, tt.region)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, %v", info, err)
			}
			if strings.Count(err.Error(), "numbering: ") != 1 {
				t.Errorf("%q does not name the package once", err)
			}
			if strings.Contains(err.Error(), "0100") {
				t.Errorf("%q tells the number", err)
			}
		})
	}
}

// Every region has a number of each kind that it has, and each is found again
// however people there write it.
func TestParseLocalReadsEveryRegion(t *testing.T) {
	var numbers int
	for region := range phonenumbers.GetSupportedRegions() {
		for planned := range ofPlan {
			example := phonenumbers.GetExampleNumberForType(region, planned)
			if example == nil {
				continue
			}
			numbers++
			want := telephony.Number(phonenumbers.Format(example, phonenumbers.E164))
			if !want.Valid() {
				continue // Iran's 9601 is dialed within the country only
			}
			info, err := Check(want)
			if err != nil || info.Region == "" || info.Kind == Unknown {
				t.Errorf("%s, %v: %v, %v", region, planned, info, err)
			}
			for _, form := range []phonenumbers.PhoneNumberFormat{phonenumbers.NATIONAL, phonenumbers.INTERNATIONAL} {
				s := phonenumbers.Format(example, form)
				if s == "09 15-2345-6789" {
					continue // libphonenumber does not read all that it writes in Argentina
				}
				if info, err := ParseLocal(s, region); err != nil || info.Number != want {
					t.Errorf("%q in %s: %s, %v", s, region, string(info.Number), err)
				}
			}
		}
	}
	if numbers < 1000 {
		t.Errorf("only %d numbers", numbers)
	}
}

// Whatever is found by ParseLocal, Check finds as well, and the other way round.
func TestCheckAgreesWithParseLocal(t *testing.T) {
	codes := []string{"+1", "+44", "+49", "+39", "+54", "+55", "+52", "+7", "+225", "+870", "+88", "+"}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(codes).Draw(t, "code") + rapid.StringMatching(`[0-9]{4,12}`).Draw(t, "rest")
		checked, checkErr := Check(telephony.Number(s))
		parsed, parseErr := ParseLocal(s, "")
		switch {
		case checkErr == nil && (parseErr != nil || parsed.Number != checked.Number || parsed.Kind != checked.Kind):
			t.Errorf("%s: Check says %v, ParseLocal %v, %v", s, checked, parsed, parseErr)
		case parseErr == nil:
			if _, err := Check(parsed.Number); err != nil {
				t.Errorf("%s was read as %s: %v", s, string(parsed.Number), err)
			}
		}
	})
}

func FuzzParseLocal(f *testing.F) {
	for _, s := range []string{"(202) 555-0100", "+44 (0)20 7946 0958", "030/23125-000", "٠٢٠", "+", "--", "+8816 1234 5678", "00000000"} {
		f.Add(s, "US")
		f.Add(s, "")
	}
	f.Add("06 12345678", "IT")
	f.Add("011 15 1234-5678", "AR")
	f.Add("0 (41) 21 98765-4321", "BR")
	f.Fuzz(func(t *testing.T, s, region string) {
		info, err := ParseLocal(s, region)
		if err != nil {
			if !errors.Is(err, telephony.ErrInvalidNumber) && !errors.Is(err, ErrNoSuchNumber) && !errors.Is(err, ErrUnknownRegion) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		again, err := Check(info.Number)
		if err != nil || again.Region != info.Region || again.Kind != info.Kind || len(again.Zones) != len(info.Zones) {
			t.Errorf("%q: %v; Check says %v, %v", s, info, again, err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check("+442079460958"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckOfWholeCountry(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check("+18005551234"); err != nil {
			b.Fatal(err)
		}
	}
}
