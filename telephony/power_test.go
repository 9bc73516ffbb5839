package telephony

import (
	"strings"
	"testing"
)

func TestPowersTellTheirNames(t *testing.T) {
	for p := Powers(1); p < 1<<powers; p <<= 1 {
		if name := p.String(); name == "" || strings.Contains(name, ",") {
			t.Errorf("power %b is named %q", p, name)
		}
	}
	if got, want := (CanRedirect | CanRecord).String(), "redirect, record"; got != want {
		t.Errorf("powers are %q, want %q", got, want)
	}
	if got := Powers(0).String(); got != "" {
		t.Errorf("no powers are %q", got)
	}
}

type plain struct{ Provider }

type able struct{ Provider }

func (able) Powers() Powers { return CanFind | CanRecord }

func TestPowersOf(t *testing.T) {
	if got := PowersOf(plain{}); got != 0 {
		t.Errorf("a plain provider can %v", got)
	}
	got := PowersOf(able{})
	if !got.Has(CanFind) || !got.Has(CanFind|CanRecord) || got.Has(CanFind|CanRedirect) {
		t.Errorf("it can %v", got)
	}
}
