package switchboard_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/plivo"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// docs/carriers.md says what the adapters say.
func TestPowersInTheDocs(t *testing.T) {
	doc, err := os.ReadFile("docs/carriers.md")
	if err != nil {
		t.Fatal(err)
	}
	adapters := []telephony.Provider{&twilio.Provider{}, &plivo.Provider{}}
	listed := telephony.Powers(0)
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| (yes|–) \| (yes|–) \|`).FindAllStringSubmatch(string(doc), -1) {
		power := named(row[1])
		if power == 0 {
			t.Errorf("there is no power %q", row[1])
		}
		listed |= power
		for i, p := range adapters {
			if says := row[2+i] == "yes"; telephony.PowersOf(p).Has(power) != says {
				t.Errorf("%s, %s: the table says %t", p.Name(), row[1], says)
			}
		}
	}
	for _, p := range adapters {
		if missing := telephony.PowersOf(p) &^ listed; missing != 0 {
			t.Errorf("%s can %v, which is not in the table", p.Name(), missing)
		}
	}
}

func named(name string) telephony.Powers {
	for p := telephony.Powers(1); p.String() != ""; p <<= 1 {
		if p.String() == name {
			return p
		}
	}
	return 0
}
