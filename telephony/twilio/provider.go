// Package twilio connects the telephone network through Twilio: its REST API,
// its webhooks, its markup (TwiML) and its media streams.
//
// A [Provider] needs an account and its primary token. What it can do, its
// Powers tell. Errors of its methods are [*telephony.Error] values, unless a
// method says otherwise: errors.Is tells the reason, the Outcome whether Twilio
// may have acted, and Code is Twilio's own (https://www.twilio.com/docs/api/errors).
// At most one request that changes something leaves for each call of a method,
// and none is ever redirected.
package twilio

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/internal/guard"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

// DefaultBaseURL is where Twilio's REST API is.
const DefaultBaseURL = "https://api.twilio.com"

var _ interface {
	telephony.Provider
	telephony.Validator
	telephony.Empowered
	telephony.Redirector
	telephony.Finder
	telephony.CallRecorder
	stream.Protocol
} = (*Provider)(nil)

// Provider is one Twilio account. Set the fields before the first use and leave
// them alone afterwards; then it may be used by many goroutines at once.
type Provider struct {
	// ProviderName is the provider's name in URLs and records. Empty means
	// "twilio"; give a second account another one.
	ProviderName string
	// AccountSID is the account, "AC" and 32 hexadecimal digits. Webhooks of any
	// other account are refused.
	AccountSID string
	// AuthToken is the account's primary token. Webhooks are signed with it, so
	// it is needed with an API key too.
	AuthToken telephony.Secret
	// PreviousTokens are other tokens with which a webhook may be signed, for
	// the time of a change. They are never sent anywhere.
	PreviousTokens []telephony.Secret
	// APIKey and APISecret authenticate requests to the REST API. Empty means
	// the account and its token do.
	APIKey    string
	APISecret telephony.Secret
	// BaseURL is the address of the REST API. Empty means DefaultBaseURL. It
	// must be https, except on a loopback address. TWILIO_EDGE and TWILIO_REGION
	// in the environment do not change it.
	BaseURL string
	// Timeout bounds one request to the REST API in all. Zero means 10 seconds.
	Timeout time.Duration
	// Transport sends the requests. Nil means one of our own, with at most 64
	// connections. A transport of another kind must not repeat or redirect a
	// request by itself: that would call people twice.
	Transport http.RoundTripper

	once   sync.Once
	client *guard.Client
	files  *guard.Client // so that long downloads do not stand in the way of dials
}

// FromEnv returns a Provider with the settings in TWILIO_ACCOUNT_SID,
// TWILIO_AUTH_TOKEN (the token, then, after commas, previous ones),
// TWILIO_API_KEY, TWILIO_API_SECRET and TWILIO_API_URL. What is missing or
// wrong, Validate tells.
func FromEnv() *Provider {
	token, previous, _ := strings.Cut(os.Getenv("TWILIO_AUTH_TOKEN"), ",")
	p := &Provider{
		AccountSID: os.Getenv("TWILIO_ACCOUNT_SID"),
		AuthToken:  telephony.Secret(strings.TrimSpace(token)),
		APIKey:     os.Getenv("TWILIO_API_KEY"),
		APISecret:  telephony.Secret(os.Getenv("TWILIO_API_SECRET")),
		BaseURL:    os.Getenv("TWILIO_API_URL"),
	}
	for t := range strings.SplitSeq(previous, ",") {
		if t = strings.TrimSpace(t); t != "" {
			p.PreviousTokens = append(p.PreviousTokens, telephony.Secret(t))
		}
	}
	return p
}

// Name returns ProviderName, or "twilio".
func (p *Provider) Name() string { return cmp.Or(p.ProviderName, "twilio") }

// Powers are all but three: keys that leave a media stream as it is, SIP headers
// and a caller's name.
func (p *Provider) Powers() telephony.Powers {
	return telephony.CanRedirect | telephony.CanConference | telephony.CanAnswerKeys |
		telephony.CanFind | telephony.CanRecord | telephony.CanPauseRecording |
		telephony.CanDetectMachines | telephony.CanDetectBeep
}

var (
	nameShape    = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	accountShape = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	callShape    = regexp.MustCompile(`^CA[0-9a-fA-F]{32}$`)
)

// Validate reports every field that is missing or wrong.
func (p *Provider) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("twilio: "+format, args...))
	}
	if !nameShape.MatchString(p.Name()) {
		wrong("ProviderName %q is not made of 1 to 32 lower-case letters, digits and hyphens", p.ProviderName)
	}
	if !accountShape.MatchString(p.AccountSID) {
		wrong("AccountSID (TWILIO_ACCOUNT_SID) is not AC and 32 hexadecimal digits")
	}
	if p.AuthToken == "" {
		wrong("AuthToken (TWILIO_AUTH_TOKEN) is empty: webhooks could not be verified")
	}
	for _, t := range p.PreviousTokens {
		if t == "" {
			wrong("PreviousTokens holds an empty token, with which anybody could sign")
		}
	}
	if (p.APIKey == "") != (p.APISecret == "") {
		wrong("APIKey and APISecret (TWILIO_API_KEY, TWILIO_API_SECRET) go together")
	}
	if p.Timeout < 0 {
		wrong("Timeout is negative")
	}
	if err := checkBaseURL(p.baseURL()); err != nil {
		wrong("BaseURL (TWILIO_API_URL) %w", err)
	}
	return errors.Join(problems...)
}

func (p *Provider) baseURL() string { return cmp.Or(p.BaseURL, DefaultBaseURL) }

func checkBaseURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "":
		return errors.New("is not an absolute URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("has more than a scheme, a host and a path")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("is not https, and credentials would be sent in clear")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// CloseIdleConnections closes the connections to the REST API that are kept for
// later requests. The provider can be used on.
func (p *Provider) CloseIdleConnections() {
	p.rest().CloseIdleConnections()
	p.downloads().CloseIdleConnections()
}

func (p *Provider) open() {
	p.client = guard.New(p.transport(), p.Timeout)
	p.files = guard.New(p.transport(), p.Timeout)
}

// transport is Transport, or one that does not lead into the host's own network
// unless BaseURL does.
func (p *Provider) transport() http.RoundTripper {
	if p.Transport == nil && p.baseURL() == DefaultBaseURL {
		return guard.NewPublicTransport()
	}
	return p.Transport
}

func (p *Provider) rest() *guard.Client {
	p.once.Do(p.open)
	return p.client
}

func (p *Provider) downloads() *guard.Client {
	p.once.Do(p.open)
	return p.files
}
