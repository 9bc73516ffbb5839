package numbering

import "testing"

func TestKindHasName(t *testing.T) {
	names := make(map[string]Kind)
	for k := Unknown; k <= Network; k++ {
		name := k.String()
		if other, taken := names[name]; name == "" || taken {
			t.Errorf("kind %d is %q, as %d is", k, name, other)
		}
		names[name] = k
	}
	if got := Kind(200).String(); got != "Kind(200)" {
		t.Error(got)
	}
}
