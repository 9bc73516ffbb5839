package call

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Provider is a carrier whole: the telephone network on one side, the media
// stream on the other.
type Provider interface {
	telephony.Provider
	stream.Protocol
}

// Config says how a Service works. PublicURL, one provider and one agent are
// needed; all else has a default.
type Config struct {
	// PublicURL is how carriers reach Handler: https and a path prefix, such as
	// "https://voice.example.com/phone/". Every address given to a carrier
	// begins with it, and signatures are checked against it. Plain http is
	// accepted for loopback hosts and names under .test only.
	PublicURL string

	// Providers are the carriers. The first one places calls that name none.
	Providers []Provider
	// Require is what each of them must be able to do; New says what is missing,
	// with an error that wraps errors.ErrUnsupported.
	Require telephony.Powers
	// Backups say, by the name of a provider, which other one places a call that
	// the first certainly has not: its line is down, or it wants to be left alone.
	Backups map[string]Backup
	// Agents talk. Their names are what AgentID means.
	Agents Agents
	// Router says which agent answers an inbound call. If it is nil, and there
	// is one agent, that one answers; otherwise callers are turned away.
	Router routing.Router

	// Recorder records calls that ask for it. Nil: such calls are refused.
	Recorder recording.Recorder
	// FetchCarrierRecordings copies recordings of the carrier's (see
	// StartCarrierRecording) to where Recorder keeps its own, as soon as the
	// carrier tells that they are finished. Recorder must be a recording.Keeper.
	FetchCarrierRecordings bool
	// RecordInbound and TranscribeInbound ask for it on calls that come in.
	RecordInbound     bool
	TranscribeInbound bool
	// RequireRecording and AwaitConsent are the Options of those names on calls that
	// come in.
	RequireRecording bool
	AwaitConsent     bool
	// ConsentKey is the key with which a caller agrees, on a call that waits for
	// that: one of 0-9 * # A-D. The agent gets it too. Empty: agents alone tell.
	ConsentKey string
	// Notice is what a call that is to be recorded or transcribed is told first: the
	// caller hears it to its end, cannot interrupt it, and nothing is kept before
	// that. No Audio: this call need not be told. Nil: none is; Announcement, which
	// the carrier speaks before there is any sound, may do.
	Notice func(c *Call) Utterance

	// Transcriber transcribes calls that ask for it. Nil: such calls are refused.
	Transcriber transcript.Transcriber
	// Retranscriber makes out from its recording what was said on a call whose live
	// transcription failed or left gaps, after the call. The Recorder must be a
	// recording.Opener, and the recording have the caller on a channel of its own.
	// Nil: Transcriber, if it can.
	Retranscriber transcript.Retranscriber
	// Redactor takes out of words what must not be kept: they are stored and told
	// of as it leaves them, and agents see them so too, but for what they hear and
	// recognise themselves and what Interruption.Words is asked about. Nil: all words
	// are kept.
	Redactor transcript.Redactor
	// ShowKeys lets events tell which keys callers press although there is a
	// Redactor. Otherwise they tell only that a key was pressed, since a PIN has no
	// form by which it could be known.
	ShowKeys bool
	// Analyzer looks at calls that were answered when they are over. Nil: nobody does.
	Analyzer Analyzer
	// AfterParallel is how many calls are retranscribed or analyzed at once; more
	// wait their turn, up to 10,000. Zero: 4.
	AfterParallel int

	// Retention is for how long after its end a call is kept until EraseExpired, which
	// the host calls, erases it; it may depend on the tenant, for example. Zero: for
	// ever. Nil: all are kept.
	Retention func(c *Call) time.Duration

	// Store keeps the records. Nil: in memory, lost with the process.
	Store Store
	// Cluster makes the service one of several that share Store.
	Cluster Cluster
	// Policy is asked before anything is dialed. Nil: Destinations{}, which
	// allows ordinary numbers.
	Policy Policy

	// Announcement is spoken by the carrier before the agent has the call, for
	// example that it is recorded. Empty: nothing.
	Announcement string
	// Apology is spoken by the carrier to a caller for whom there is no room.
	// Empty: "All our lines are busy. Please call again later."
	Apology string

	// MaxCalls is how many calls may be live at once. Zero: 1,000.
	MaxCalls int
	// DialsPerSecond is how fast each provider is asked to place calls; more
	// wait their turn, in order, up to 10,000. Zero: as fast as they come.
	DialsPerSecond float64
	// RingTimeout ends a call that nobody answers. Zero: 60 s. Whole seconds.
	RingTimeout time.Duration
	// MaxDuration ends a call, whatever it is doing. Zero: one hour.
	MaxDuration time.Duration
	// Silence ends a call on which neither side has spoken for so long. Zero:
	// never.
	Silence time.Duration
	// CallerSilence ends a call whose caller has neither spoken nor pressed a key for
	// so long, however much the agent says meanwhile. Zero: never.
	CallerSilence time.Duration
	// AgentStall ends a call whose agent has not answered for so long: the caller
	// has spoken, or pressed a key, and has heard nothing since but background.
	// Digital silence on a Line is nothing, too. It is not for agents that only
	// listen. Zero: never.
	//
	// None of the three counts while the caller is on hold or away.
	AgentStall time.Duration
	// NoMedia ends a call that was answered, and whose stream has not come, or
	// carried nothing, for so long. Zero: 15 s.
	NoMedia time.Duration
	// StreamGrace is how long a call whose stream broke waits for the carrier to
	// open another one, which it is told to do when it asks. The agent keeps the
	// call; what it had said and was not heard is cut off, and what it says
	// meanwhile waits. Zero: the call ends at once.
	StreamGrace time.Duration
	// AgentGrace is how long an agent may go on after its call has ended before
	// it is left behind and counted. Zero: 5 s.
	AgentGrace time.Duration

	// HoldSound is what callers on hold hear, at the given rate. Nil: two soft
	// tones every six seconds.
	HoldSound func(rate int) audio.Reader

	// Interruption is how callers cut agents off. The zero value works well.
	Interruption Interruption

	// AllowInsecureStreams serves ws/stream/{provider}/{agent} too: a media socket
	// that comes there from a loopback address, without any token, is an inbound
	// call. It is for load tests, and is refused unless PublicURL is on loopback.
	AllowInsecureStreams bool

	// BrowserOrigins are web origins, such as "https://app.example.com", whose
	// pages may connect with a Ticket, besides that of PublicURL.
	BrowserOrigins []string

	// Media are the settings of media sockets; its zero value works.
	Media *stream.Gate

	// CallContext returns the context of a call that this process takes up, derived
	// from ctx: to trace it, for example. It is asked once, before anything is done
	// about the call, and never about one that is refused; c is the call's to keep.
	// What it returns is what the call's agents get, and, without its deadline,
	// carriers, recorders, stores and all else that is asked about the call until it
	// is over. Nil: ctx.
	CallContext func(ctx context.Context, c *Call) context.Context

	// Logger takes what operators should know. Nil: slog.Default().
	Logger *slog.Logger
}

// Backup is who places a call when its own provider cannot.
type Backup struct {
	Provider string // its name
	// From is the caller id there: most carriers accept their own numbers only.
	// Empty keeps that of the call.
	From telephony.Number
}

const (
	defaultMaxCalls    = 1000
	defaultRingTimeout = 60 * time.Second
	defaultMaxDuration = time.Hour
	defaultNoMedia     = 15 * time.Second
	defaultParallel    = 4
	defaultAgentGrace  = 5 * time.Second
	defaultApology     = "All our lines are busy. Please call again later."
)

// withDefaults checks c and fills in what is not set.
func (c Config) withDefaults() (Config, error) {
	base, err := parsePublicURL(c.PublicURL)
	if err != nil {
		return c, err
	}
	c.PublicURL = base
	if c.ConsentKey != "" && !isKey(c.ConsentKey) {
		return c, fmt.Errorf("ConsentKey %q is none of 0-9 * # A-D", c.ConsentKey)
	}
	if c.AllowInsecureStreams && !onLoopback(base) {
		return c, errors.New("AllowInsecureStreams is for a PublicURL on loopback only")
	}
	if len(c.Providers) == 0 {
		return c, errors.New("Providers is empty")
	}
	names := make(map[string]bool, len(c.Providers))
	for _, p := range c.Providers {
		name := p.Name()
		if !validName(name) {
			return c, fmt.Errorf("provider name %q: only lower-case letters, digits and hyphens", name)
		}
		if name == browserName {
			return c, fmt.Errorf("provider name %q is taken", name)
		}
		if names[name] {
			return c, fmt.Errorf("two providers are named %q", name)
		}
		names[name] = true
		if missing := c.Require &^ telephony.PowersOf(p); missing != 0 {
			return c, fmt.Errorf("provider %q cannot do this: %v: %w", name, missing, errors.ErrUnsupported)
		}
	}
	for name, b := range c.Backups {
		if !names[name] || !names[b.Provider] || name == b.Provider {
			return c, fmt.Errorf("backup of %q by %q: %w", name, b.Provider, ErrUnknownProvider)
		}
		if b.From != "" && !b.From.Valid() {
			return c, fmt.Errorf("backup of %q: From: %w", name, telephony.ErrInvalidNumber)
		}
	}
	if len(c.Agents) == 0 {
		return c, errors.New("Agents is empty")
	}
	for name, a := range c.Agents {
		if name == "" || a == nil {
			return c, fmt.Errorf("agent %q is nil or has no name", name)
		}
	}
	if c.Router == nil && len(c.Agents) == 1 {
		for name := range c.Agents {
			c.Router = routing.Always(name)
		}
	}
	if c.Store == nil {
		c.Store = NewMemoryStore()
	}
	if c.Cluster != (Cluster{}) {
		if c.Cluster, err = c.Cluster.withDefaults(c.Store); err != nil {
			return c, err
		}
	}
	if c.Policy == nil {
		c.Policy = Destinations{}
	}
	if c.Media == nil {
		c.Media = &stream.Gate{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Apology == "" {
		c.Apology = defaultApology
	}
	if c.HoldSound == nil {
		c.HoldSound = HoldSound
	}
	setDefault(&c.MaxCalls, defaultMaxCalls)
	setDefault(&c.RingTimeout, defaultRingTimeout)
	setDefault(&c.MaxDuration, defaultMaxDuration)
	setDefault(&c.NoMedia, defaultNoMedia)
	setDefault(&c.AgentGrace, defaultAgentGrace)
	setDefault(&c.AfterParallel, defaultParallel)
	if c.MaxCalls < 0 || c.RingTimeout < time.Second || c.MaxDuration < time.Second ||
		c.NoMedia < 0 || c.DialsPerSecond < 0 || c.AgentGrace < 0 || c.AfterParallel < 0 ||
		c.StreamGrace < 0 || c.Silence < 0 || c.CallerSilence < 0 || c.AgentStall < 0 {
		return c, errors.New("a limit is negative, or RingTimeout or MaxDuration is below a second")
	}
	if _, ok := c.Recorder.(recording.Keeper); c.FetchCarrierRecordings && !ok {
		return c, fmt.Errorf("FetchCarrierRecordings: Recorder keeps no files of others: %w", errors.ErrUnsupported)
	}
	return c, c.validateParts()
}

// validateParts asks every part that can tell whether its settings are right.
func (c Config) validateParts() error {
	parts := []any{c.Router, c.Recorder, c.Transcriber, c.Retranscriber, c.Redactor, c.Analyzer, c.Store, c.Policy, c.Interruption}
	for _, p := range c.Providers {
		parts = append(parts, p)
	}
	return validate(slices.Values(parts))
}

func validate[T any](parts iter.Seq[T]) error {
	for part := range parts {
		if v, ok := any(part).(telephony.Validator); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// isKey reports whether s is what a caller can press.
func isKey(s string) bool { return len(s) == 1 && strings.Trim(s, "0123456789*#ABCD") == "" }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// parsePublicURL returns the URL with a slash at its end.
func parsePublicURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "", errors.New("PublicURL is empty")
	case err != nil:
		return "", errors.New("PublicURL is not a URL")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("PublicURL must be a scheme, a host and a path, and nothing else")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLocal(u.Hostname())):
		return "", errors.New("PublicURL must be https, because carriers send recordings of people over it")
	case u.EscapedPath() != u.Path:
		return "", errors.New("PublicURL must not have escapes in its path: carriers disagree on how to sign them")
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

func onLoopback(base string) bool {
	u, err := url.Parse(base)
	return err == nil && isLocal(u.Hostname())
}

func isLocal(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".test") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func validName(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
