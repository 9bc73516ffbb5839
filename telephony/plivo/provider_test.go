package plivo

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/audio"
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
		{"a subaccount", func(p *Provider) { p.AuthID = "SANTQ2YJVHYTE4MZLKNJ" }, ""},
		{"a base URL on loopback", func(p *Provider) { p.BaseURL = "http://127.0.0.1:8080/api" }, ""},
		{"another name", func(p *Provider) { p.ProviderName = "plivo-eu" }, ""},
		{"linear audio", func(p *Provider) { p.Format = audio.Format{Encoding: audio.PCM16, Rate: 16000} }, ""},
		{"a SIP header", func(p *Provider) { p.ExtraFields = []string{"X-PH-Agent"} }, ""},
		{"no account", func(p *Provider) { p.AuthID = "" }, "AuthID"},
		{"an account of another shape", func(p *Provider) { p.AuthID = "MA123" }, "AuthID"},
		{"no token", func(p *Provider) { p.AuthToken = "" }, "AuthToken"},
		{"an empty previous token", func(p *Provider) { p.PreviousTokens = []telephony.Secret{""} }, "PreviousTokens"},
		{"a field without a name", func(p *Provider) { p.ExtraFields = []string{""} }, "ExtraFields"},
		{"A-law", func(p *Provider) { p.Format = audio.Format{Encoding: audio.ALaw, Rate: 8000} }, "Format"},
		{"a rate that is not carried", func(p *Provider) { p.Format = audio.Format{Encoding: audio.PCM16, Rate: 24000} }, "Format"},
		{"a base URL in clear", func(p *Provider) { p.BaseURL = "http://api.example.com" }, "BaseURL"},
		{"a base URL without a host", func(p *Provider) { p.BaseURL = "api.example.com" }, "BaseURL"},
		{"a base URL with credentials", func(p *Provider) { p.BaseURL = "https://a:b@api.example.com" }, "BaseURL"},
		{"a media URL in clear", func(p *Provider) { p.MediaURL = "http://media.example.com" }, "MediaURL"},
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
	t.Setenv("PLIVO_AUTH_ID", testAccount)
	t.Setenv("PLIVO_AUTH_TOKEN", "token-1, token-2,token-3,")
	t.Setenv("PLIVO_API_URL", "http://localhost:1")
	t.Setenv("PLIVO_MEDIA_URL", "http://localhost:2")
	p := FromEnv()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if p.AuthID != testAccount || p.AuthToken != "token-1" || p.BaseURL != "http://localhost:1" || p.MediaURL != "http://localhost:2" ||
		!reflect.DeepEqual(p.PreviousTokens, []telephony.Secret{"token-2", "token-3"}) {
		t.Errorf("read %+v", p)
	}
	p.MainAuthToken = "token-4"
	if s := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(s, "token-") {
		t.Errorf("prints %s", s)
	}
	if p.Name() != "plivo" {
		t.Errorf("name is %q", p.Name())
	}
}

func TestProviderWithoutSettingsIsInvalid(t *testing.T) {
	for _, name := range []string{"AUTH_ID", "AUTH_TOKEN", "API_URL", "MEDIA_URL"} {
		t.Setenv("PLIVO_"+name, "")
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
	pauses := !errors.Is(p.PauseRecording(t.Context(), testCall, testStream), errors.ErrUnsupported)
	for power, has := range map[telephony.Powers]bool{
		telephony.CanRedirect: redirector, telephony.CanFind: finder,
		telephony.CanRecord: recorder, telephony.CanStreamKeys: keys,
		telephony.CanPauseRecording: pauses, telephony.CanDetectBeep: false,
		telephony.CanSIPHeaders: true, telephony.CanCallerName: true,
	} {
		if got := telephony.PowersOf(p).Has(power); got != has {
			t.Errorf("%v: %t, want %t", power, got, has)
		}
	}
}
