package twilio

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestValidateNamesTheFieldToMend(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *Provider)
		want   string // in the error; empty for none
	}{
		{"as it should be", func(*Provider) {}, ""},
		{"an API key", func(p *Provider) { p.APIKey, p.APISecret = "SK1", "s" }, ""},
		{"a base URL on loopback", func(p *Provider) { p.BaseURL = "http://127.0.0.1:8080/api" }, ""},
		{"a base URL on IPv6 loopback", func(p *Provider) { p.BaseURL = "http://[::1]:8080" }, ""},
		{"another name", func(p *Provider) { p.ProviderName = "twilio-eu" }, ""},
		{"no account", func(p *Provider) { p.AccountSID = "" }, "AccountSID"},
		{"an account of another shape", func(p *Provider) { p.AccountSID = "AC123" }, "AccountSID"},
		{"no token", func(p *Provider) { p.AuthToken = "" }, "AuthToken"},
		{"an empty previous token", func(p *Provider) { p.PreviousTokens = []telephony.Secret{""} }, "PreviousTokens"},
		{"a key without a secret", func(p *Provider) { p.APIKey = "SK1" }, "APIKey"},
		{"a secret without a key", func(p *Provider) { p.APISecret = "s" }, "APISecret"},
		{"a base URL in clear", func(p *Provider) { p.BaseURL = "http://api.example.com" }, "BaseURL"},
		{"a base URL without a host", func(p *Provider) { p.BaseURL = "api.example.com" }, "BaseURL"},
		{"a base URL with credentials", func(p *Provider) { p.BaseURL = "https://a:b@api.example.com" }, "BaseURL"},
		{"a name with a slash", func(p *Provider) { p.ProviderName = "a/b" }, "ProviderName"},
		{"a negative timeout", func(p *Provider) { p.Timeout = -1 }, "Timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := testProvider()
			tt.change(p)
			err := p.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestFromEnv(t *testing.T) {
	for name, value := range map[string]string{
		"ACCOUNT_SID": testAccount, "AUTH_TOKEN": "token-1, token-2,token-3,", "API_KEY": "SK1", "API_SECRET": "s", "API_URL": "http://localhost:1",
	} {
		t.Setenv("TWILIO_"+name, value)
	}
	p := FromEnv()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if p.AccountSID != testAccount || p.AuthToken != "token-1" || p.APIKey != "SK1" || p.APISecret != "s" || p.BaseURL != "http://localhost:1" ||
		!reflect.DeepEqual(p.PreviousTokens, []telephony.Secret{"token-2", "token-3"}) {
		t.Errorf("read %+v", p)
	}
	if s := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(s, "token-") {
		t.Errorf("prints %s", s)
	}
	if p.Name() != "twilio" {
		t.Errorf("name is %q", p.Name())
	}
}

func TestProviderWithoutSettingsIsInvalid(t *testing.T) {
	for _, name := range []string{"ACCOUNT_SID", "AUTH_TOKEN", "API_KEY", "API_SECRET", "API_URL"} {
		t.Setenv("TWILIO_"+name, "")
	}
	if FromEnv().Validate() == nil {
		t.Error("no settings pass")
	}
}

func TestPowersAgreeWithWhatIsThere(t *testing.T) {
	p := testProvider()
	_, redirector := any(p).(telephony.Redirector)
	_, finder := any(p).(telephony.Finder)
	_, recorder := any(p).(telephony.CallRecorder)
	_, keys := any(p).(stream.KeySender)
	for power, has := range map[telephony.Powers]bool{
		telephony.CanRedirect: redirector, telephony.CanFind: finder,
		telephony.CanRecord: recorder, telephony.CanStreamKeys: keys,
		telephony.CanPauseRecording: true, telephony.CanDetectBeep: true,
		telephony.CanSIPHeaders: false, telephony.CanCallerName: false,
	} {
		if got := telephony.PowersOf(p).Has(power); got != has {
			t.Errorf("%v: %t, want %t", power, got, has)
		}
	}
}
