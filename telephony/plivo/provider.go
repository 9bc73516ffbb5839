// Package plivo connects the telephone network through Plivo: its REST API, its
// webhooks, its markup and its audio streams.
//
// A [Provider] needs an account or a subaccount and its token. What it can do,
// its Powers tell. Errors of its methods are [*telephony.Error] values, unless a
// method says otherwise: errors.Is tells the reason, and the Outcome whether
// Plivo may have acted. Plivo has no codes for its refusals. At most one request
// that changes something leaves for each call of a method, except that one about
// a call which Plivo did not know is made once more when the call turns out to
// have another id; none is ever redirected.
package plivo

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/plivo/plivo-go/v7"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/guard"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// DefaultBaseURL is where Plivo's REST API is.
	DefaultBaseURL = "https://api.plivo.com"
	// DefaultMediaURL is where Plivo keeps recordings.
	DefaultMediaURL = "https://media.plivo.com"
)

var _ interface {
	telephony.Provider
	telephony.Validator
	telephony.Empowered
	telephony.Redirector
	telephony.Finder
	telephony.CallRecorder
	stream.Protocol
	stream.KeySender
} = (*Provider)(nil)

// Provider is one Plivo account or subaccount. Set the fields before the first
// use and leave them alone afterwards; then it may be used by many goroutines at
// once.
//
// Plivo gives a dial an id, the request UUID, and the call another, the call
// UUID, which the first webhook tells. They are often equal, and nothing says
// that they always are. Dial returns the request UUID; every Event of a webhook
// has the call UUID as its ProviderCallID, and for a placed call the request
// UUID as its RequestID. Hangup and Status take either.
type Provider struct {
	// ProviderName is the provider's name in URLs and records. Empty means
	// "plivo"; give a second account another one.
	ProviderName string
	// AuthID is the account, "MA" and 18 letters or digits, or the subaccount,
	// "SA" and as many.
	AuthID string
	// AuthToken authenticates requests to the REST API and signs webhooks.
	AuthToken telephony.Secret
	// PreviousTokens are other tokens with which a webhook may be signed, for
	// the time of a change. They are never sent anywhere.
	PreviousTokens []telephony.Secret
	// MainAuthToken is the token of the main account. If it is set, a webhook
	// that is signed with it in X-Plivo-Signature-Ma-V3 is accepted too; that
	// lets in webhooks about calls of every subaccount. Empty accepts none.
	MainAuthToken telephony.Secret
	// AllowV2 accepts webhooks with nothing but the older signature, which
	// covers the address and not the parameters: whoever has seen one such
	// webhook can send any other to the same address.
	AllowV2 bool
	// ExtraFields are names of further parameters of webhooks to accept, should
	// Plivo send one that this package does not know, and of SIP headers
	// ("X-PH-Agent") to be found in Event.Fields.
	ExtraFields []string
	// Format is what audio streams shall carry. The zero Format means
	// audio.Telephone; PCM16 at 8000 or 16000 Hz is possible too.
	Format audio.Format
	// BaseURL is the address of the REST API. Empty means DefaultBaseURL. It
	// must be https, except on a loopback address.
	BaseURL string
	// MediaURL is the address of recordings. Empty means DefaultMediaURL or, where
	// BaseURL is set, the same as that. The credentials are sent there, so it must
	// be https, except on a loopback address.
	MediaURL string
	// Timeout bounds one request to the REST API in all. Zero means 10 seconds.
	Timeout time.Duration
	// Transport sends the requests. Nil means one of our own, with at most 64
	// connections. A transport of another kind must not repeat or redirect a
	// request by itself: that would call people twice.
	Transport http.RoundTripper

	once    sync.Once
	client  *guard.Client
	files   *guard.Client // so that long downloads do not stand in the way of dials
	builder *sdk.Client

	dials  dials
	nonces nonces
}

// FromEnv returns a Provider with the settings in PLIVO_AUTH_ID,
// PLIVO_AUTH_TOKEN (the token, then, after commas, previous ones), PLIVO_API_URL
// and PLIVO_MEDIA_URL. What is missing or wrong, Validate tells.
func FromEnv() *Provider {
	token, previous, _ := strings.Cut(os.Getenv("PLIVO_AUTH_TOKEN"), ",")
	p := &Provider{
		AuthID:    os.Getenv("PLIVO_AUTH_ID"),
		AuthToken: telephony.Secret(strings.TrimSpace(token)),
		BaseURL:   os.Getenv("PLIVO_API_URL"),
		MediaURL:  os.Getenv("PLIVO_MEDIA_URL"),
	}
	for t := range strings.SplitSeq(previous, ",") {
		if t = strings.TrimSpace(t); t != "" {
			p.PreviousTokens = append(p.PreviousTokens, telephony.Secret(t))
		}
	}
	return p
}

// Name returns ProviderName, or "plivo".
func (p *Provider) Name() string { return cmp.Or(p.ProviderName, "plivo") }

// Powers are all but two: recordings that pause, and the beep of a machine.
func (p *Provider) Powers() telephony.Powers {
	return telephony.CanRedirect | telephony.CanConference | telephony.CanAnswerKeys | telephony.CanStreamKeys |
		telephony.CanFind | telephony.CanRecord | telephony.CanDetectMachines |
		telephony.CanSIPHeaders | telephony.CanCallerName
}

var (
	nameShape    = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	accountShape = regexp.MustCompile(`^(MA|SA)[A-Z0-9]{18}$`)
	extraShape   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{1,63}$`)
)

// Validate reports every field that is missing or wrong.
func (p *Provider) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("plivo: "+format, args...))
	}
	if !nameShape.MatchString(p.Name()) {
		wrong("ProviderName %q is not made of 1 to 32 lower-case letters, digits and hyphens", p.ProviderName)
	}
	if !accountShape.MatchString(p.AuthID) {
		wrong("AuthID (PLIVO_AUTH_ID) is not MA or SA and 18 letters and digits")
	}
	if p.AuthToken == "" {
		wrong("AuthToken (PLIVO_AUTH_TOKEN) is empty: webhooks could not be verified")
	}
	if slices.Contains(p.PreviousTokens, "") {
		wrong("PreviousTokens holds an empty token, with which anybody could sign")
	}
	for _, name := range p.ExtraFields {
		if !extraShape.MatchString(name) {
			wrong("ExtraFields: %q is no name of a parameter", name)
		}
	}
	if !slices.Contains(formats, p.format()) {
		wrong("Format %v is none of %v", p.Format, formats)
	}
	if p.Timeout < 0 {
		wrong("Timeout is negative")
	}
	if err := checkBaseURL(p.baseURL()); err != nil {
		wrong("BaseURL (PLIVO_API_URL) %w", err)
	}
	if err := checkBaseURL(p.mediaURL()); err != nil && p.MediaURL != "" {
		wrong("MediaURL (PLIVO_MEDIA_URL) %w", err)
	}
	return errors.Join(problems...)
}

func (p *Provider) baseURL() string  { return cmp.Or(p.BaseURL, DefaultBaseURL) }
func (p *Provider) mediaURL() string { return cmp.Or(p.MediaURL, p.BaseURL, DefaultMediaURL) }

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
	p.once.Do(p.open)
	p.client.CloseIdleConnections()
	p.files.CloseIdleConnections()
}
