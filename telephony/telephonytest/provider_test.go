package telephonytest

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	token   = "12345"
	leg     = "CA0123456789abcdef0123456789abcdef"
)

// signed is a webhook as Twilio signs it.
func signed(address string, form url.Values) *telephony.Webhook {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, address)
	for _, name := range names {
		_, _ = io.WriteString(mac, name+form.Get(name))
	}
	h := http.Header{}
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	h.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return &telephony.Webhook{Method: http.MethodPost, URL: address, Header: h, Body: []byte(form.Encode())}
}

// carrier is one that keeps all rules, but for what spoil does to its provider.
func carrier(spoil func(p *twilio.Provider) telephony.Provider) Carrier {
	event := func(status string) *telephony.Webhook {
		return signed("https://voice.example.com/status", url.Values{
			"AccountSid": {account}, "CallSid": {leg}, "CallStatus": {status}, "Direction": {"inbound"}, "From": {"+12025550142"}, "To": {"+12025550100"},
		})
	}
	return Carrier{
		New: func(t testing.TB, base string) telephony.Provider {
			p := &twilio.Provider{AccountSID: account, AuthToken: token, BaseURL: base}
			t.Cleanup(p.CloseIdleConnections)
			return spoil(p)
		},
		Secrets: []string{account},
		Creates: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/Calls.json") },
		Placed: func(w http.ResponseWriter, id string) {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"sid":%q}`, id)
		},
		CallID: leg,
		Gone: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"code":20404}`)
		},
		Webhooks: []Webhook{
			{"ringing", event("ringing"), telephony.Event{ProviderCallID: leg, Direction: telephony.Inbound, Status: telephony.StatusRinging}},
			{"completed", event("completed"), telephony.Event{ProviderCallID: leg, Direction: telephony.Inbound, Status: telephony.StatusCompleted}},
		},
	}
}

func TestGoodProvider(t *testing.T) {
	TestProvider(t, carrier(func(p *twilio.Provider) telephony.Provider { return p }))
}

// spoiled is a provider with one method that breaks a rule.
type spoiled struct {
	*twilio.Provider
	name   string
	powers telephony.Powers
	dial   func(p *twilio.Provider, ctx context.Context, req *telephony.DialRequest) (string, error)
	hangup func(p *twilio.Provider, ctx context.Context, id string) error
	status func(p *twilio.Provider, ctx context.Context, id string) (telephony.Event, error)
	parse  func(p *twilio.Provider, w *telephony.Webhook) (telephony.Event, error)
	write  func(p *twilio.Provider, w http.ResponseWriter, a *telephony.Answer) error
}

func (s *spoiled) Name() string {
	if s.name != "" {
		return s.name
	}
	return s.Provider.Name()
}

func (s *spoiled) Powers() telephony.Powers { return s.Provider.Powers() ^ s.powers }

func (s *spoiled) Dial(ctx context.Context, req *telephony.DialRequest) (string, error) {
	if s.dial != nil {
		return s.dial(s.Provider, ctx, req)
	}
	return s.Provider.Dial(ctx, req)
}

func (s *spoiled) Hangup(ctx context.Context, id string) error {
	if s.hangup != nil {
		return s.hangup(s.Provider, ctx, id)
	}
	return s.Provider.Hangup(ctx, id)
}

func (s *spoiled) Status(ctx context.Context, id string) (telephony.Event, error) {
	if s.status != nil {
		return s.status(s.Provider, ctx, id)
	}
	return s.Provider.Status(ctx, id)
}

func (s *spoiled) ParseEvent(w *telephony.Webhook) (telephony.Event, error) {
	if s.parse != nil {
		return s.parse(s.Provider, w)
	}
	return s.Provider.ParseEvent(w)
}

func (s *spoiled) WriteAnswer(w http.ResponseWriter, a *telephony.Answer) error {
	if s.write != nil {
		return s.write(s.Provider, w, a)
	}
	return s.Provider.WriteAnswer(w, a)
}

// verdict is a testing.TB that keeps failures to itself.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Error(...any)          { v.failed = true }

// A provider that breaks a rule is found out by it.
func TestBrokenProviders(t *testing.T) {
	parse := func(change func(e *telephony.Event)) spoiled {
		return spoiled{parse: func(p *twilio.Provider, w *telephony.Webhook) (telephony.Event, error) {
			e, err := p.ParseEvent(w)
			change(&e)
			return e, err
		}}
	}
	dialed := func(change func(e *telephony.Error)) spoiled {
		return spoiled{dial: func(p *twilio.Provider, ctx context.Context, req *telephony.DialRequest) (string, error) {
			id, err := p.Dial(ctx, req)
			var e *telephony.Error
			if errors.As(err, &e) {
				change(e)
			}
			return id, err
		}}
	}
	tests := []struct {
		rule string
		p    spoiled
	}{
		{"its name fits a path", spoiled{name: "My Carrier"}},
		{"its powers are those of its methods", spoiled{powers: telephony.CanFind}},
		{"its powers are those of its methods", spoiled{powers: telephony.CanStreamKeys}},
		{"its powers are those of its methods", spoiled{powers: telephony.CanPauseRecording}},
		{"a dial leaves once, whatever comes back", spoiled{dial: func(p *twilio.Provider, ctx context.Context, req *telephony.DialRequest) (string, error) {
			if id, err := p.Dial(ctx, req); err == nil {
				return id, nil
			}
			return p.Dial(ctx, req)
		}}},
		{"a dial leaves once, whatever comes back", dialed(func(e *telephony.Error) { e.Outcome = telephony.Rejected })},
		{"a dial leaves once, whatever comes back", dialed(func(e *telephony.Error) { e.Provider = "" })},
		{"a dial leaves once, whatever comes back", dialed(func(e *telephony.Error) { e.RetryAfter = 0 })},
		{"a dial that never left says so", dialed(func(e *telephony.Error) { e.Outcome = telephony.Ambiguous })},
		{"a dial that was accepted returns the call", spoiled{dial: func(p *twilio.Provider, ctx context.Context, req *telephony.DialRequest) (string, error) {
			_, err := p.Dial(ctx, req)
			return "", err
		}}},
		{"a context that ends, ends the method", dialed(func(e *telephony.Error) { e.Err = nil })},
		{"a call that is gone is hung up", spoiled{hangup: func(_ *twilio.Provider, _ context.Context, id string) error {
			return &telephony.Error{Reason: telephony.ErrCallGone}
		}}},
		{"a call that is gone has no status", spoiled{status: func(*twilio.Provider, context.Context, string) (telephony.Event, error) {
			return telephony.Event{}, nil
		}}},
		{"errors tell no secret and no number", dialed(func(e *telephony.Error) { e.Message = "to +12025550142" })},
		{"errors tell no secret and no number", dialed(func(e *telephony.Error) { e.Err = errors.New("POST /Accounts/" + account) })},
		{"a genuine webhook is read", parse(func(e *telephony.Event) { e.Status = telephony.StatusRinging })},
		{"a genuine webhook is read", parse(func(e *telephony.Event) { e.ID = "" })},
		{"a webhook says the same when it comes again", parse(func(e *telephony.Event) { e.ID = "the same" })},
		{"a webhook that was changed is refused", parsesAnything(false)},
		{"a webhook without signature is refused", parsesAnything(true)},
		{"every answer can be written", spoiled{write: func(_ *twilio.Provider, w http.ResponseWriter, _ *telephony.Answer) error {
			_, err := io.WriteString(w, "<Response/>")
			return err
		}}},
		{"what a caller says is no instruction", spoiled{write: func(_ *twilio.Provider, w http.ResponseWriter, a *telephony.Answer) error {
			_, err := io.WriteString(w, "<Response><Say>"+a.Say+"</Say></Response>")
			return err
		}}},
	}
	broken := make(map[string]bool)
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", i, tt.rule), func(t *testing.T) {
			broken[tt.rule] = true
			for _, rule := range providerRules {
				if rule.name != tt.rule {
					continue
				}
				v := &verdict{TB: t}
				rule.check(v, carrier(func(p *twilio.Provider) telephony.Provider {
					s := tt.p
					s.Provider = p
					return &s
				}))
				if !v.failed {
					t.Error("nothing was found")
				}
			}
		})
	}
	for _, rule := range providerRules {
		if !broken[rule.name] {
			t.Errorf("nobody breaks the rule %q", rule.name)
		}
	}
}

// parsesAnything accepts what is not signed: all, or what has any signature.
func parsesAnything(all bool) spoiled {
	return spoiled{parse: func(p *twilio.Provider, w *telephony.Webhook) (telephony.Event, error) {
		e, err := p.ParseEvent(w)
		if err != nil && (all || w.Header.Get("X-Twilio-Signature") != "") {
			return telephony.Event{ID: "x"}, nil
		}
		return e, err
	}}
}
