package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/examples/realtime"
	"github.com/switchboard-voice/switchboard/recording/s3store"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/plivo"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// settings are what an operator can say.
type settings struct {
	listenAddr     string
	publicURL      string // empty: that of the listener
	tokens         tokens // empty: one is made
	providers      []string
	twilio         twilio.Provider
	plivo          plivo.Provider
	simDialect     sim.Dialect
	database       string           // for sqlstore.Open; empty: in memory
	recordings     string           // a directory
	bucket         *s3store.Storage // where calls are recorded instead; nil: nowhere else
	spool          string           // the directory on the way there
	transcription  transcription
	cluster        call.Cluster
	defaultAgent   string
	routes         *routes // nil: defaultAgent answers all
	maxCalls       int
	callsPerSecond float64
	dialAllow      []string
	maxDuration    time.Duration
	silence        time.Duration
	ringTimeout    time.Duration
	drainTimeout   time.Duration
	retention      time.Duration // 0: for ever
	logLevel       slog.Level
	logFormat      string
	transferTo     telephony.Number
	insecureStream bool
	browserOrigins []string
}

// setting is one variable of the environment, and the flag of the same name in
// lower case with dashes.
type setting struct {
	name, standard, meaning string
	set                     func(s *settings, value string) error
}

func (s setting) flag() string { return strings.ReplaceAll(strings.ToLower(s.name), "_", "-") }

var table = slices.Concat(generalTable, transcriptionTable)

var generalTable = []setting{
	{"LISTEN_ADDR", "127.0.0.1:8010", "where HTTP and WebSocket are served", func(s *settings, v string) error {
		s.listenAddr = v
		_, port, err := net.SplitHostPort(v)
		if err != nil {
			return errors.New("is not host:port")
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errors.New("has no port between 0 and 65535")
		}
		return nil
	}},
	{"PUBLIC_URL", "", "how carriers reach this server, with a path if need be; http:// and LISTEN_ADDR if left out", func(s *settings, v string) error {
		s.publicURL = v
		return nil // the service checks it
	}},
	{"API_TOKENS", "", "who may use the API: token or tenant=token, with commas between; one is made if left out", func(s *settings, v string) error {
		return s.tokens.parse(v)
	}},
	{"PROVIDERS", "sim", "carriers, with commas between: sim (simulated), twilio, plivo; the first places calls", setProviders},
	{"SIM_DIALECT", "twilio", "whose protocol the simulated carrier speaks: twilio or plivo", func(s *settings, v string) error {
		switch v {
		case "twilio":
			s.simDialect = sim.Twilio
		case "plivo":
			s.simDialect = sim.Plivo
		default:
			return fmt.Errorf("%q is not twilio or plivo", v)
		}
		return nil
	}},
	{"TWILIO_ACCOUNT_SID", "", "the account", func(s *settings, v string) error {
		s.twilio.AccountSID = v
		return nil
	}},
	{"TWILIO_AUTH_TOKEN", "", "its token; previous ones may follow after commas", func(s *settings, v string) error {
		s.twilio.AuthToken, s.twilio.PreviousTokens = secrets(v)
		return nil
	}},
	{"TWILIO_API_KEY", "", "an API key, to be used instead of the token for requests", func(s *settings, v string) error {
		s.twilio.APIKey = v
		return nil
	}},
	{"TWILIO_API_SECRET", "", "its secret", func(s *settings, v string) error {
		s.twilio.APISecret = telephony.Secret(v)
		return nil
	}},
	{"TWILIO_API_URL", twilio.DefaultBaseURL, "the REST API", func(s *settings, v string) error {
		s.twilio.BaseURL = v
		return nil
	}},
	{"PLIVO_AUTH_ID", "", "the account", func(s *settings, v string) error {
		s.plivo.AuthID = v
		return nil
	}},
	{"PLIVO_AUTH_TOKEN", "", "its token; previous ones may follow after commas", func(s *settings, v string) error {
		s.plivo.AuthToken, s.plivo.PreviousTokens = secrets(v)
		return nil
	}},
	{"PLIVO_API_URL", plivo.DefaultBaseURL, "the REST API", func(s *settings, v string) error {
		if v != plivo.DefaultBaseURL { // whose recordings are elsewhere
			s.plivo.BaseURL = v
		}
		return nil
	}},
	{"DATABASE_URL", "sqlite:data/switchboard.db", "where calls are kept: sqlite:PATH, postgres://…, or memory:", setDatabase},
	{"CLUSTER_ADDRESS", "", "where other servers with the same DATABASE_URL and PUBLIC_URL reach this one, such as http://10.0.0.7:8010; alone if left out", func(s *settings, v string) error {
		s.cluster.Address = v
		return nil // the service checks it
	}},
	{"CLUSTER_SECRET", "", "what they know each other by: the same for all, at least 16 bytes", func(s *settings, v string) error {
		s.cluster.Secret = telephony.Secret(v)
		return nil
	}},
	{"RECORDING_URL", "file:" + standardRecordings, "where recordings are kept: file:DIRECTORY, or s3://BUCKET/PREFIX?region=R&endpoint=URL with keys where the AWS SDK finds them; also path_style, public_endpoint, sse, kms_key, spool=DIRECTORY, local=DIRECTORY", setRecordings},
	{"DEFAULT_AGENT", "receptionist", "who answers: receptionist, echo, or realtime, a model of OpenAI's, which needs OPENAI_API_KEY", func(s *settings, v string) error {
		s.defaultAgent = v
		if !slices.Contains(agentNames, v) {
			return fmt.Errorf("%q is not receptionist, echo or realtime", v)
		}
		return nil
	}},
	{"ROUTES", "", "a JSON file of who answers which caller, number and hour, as routes.example.json; DEFAULT_AGENT answers the rest", func(s *settings, v string) (err error) {
		s.routes, err = readRoutes(v)
		return err
	}},
	{"MAX_CALLS", "1000", "how many calls may be live at once", func(s *settings, v string) (err error) {
		s.maxCalls, err = strconv.Atoi(v)
		if err != nil || s.maxCalls < 1 {
			return fmt.Errorf("%q is not a number above 0", v)
		}
		return nil
	}},
	{"CALLS_PER_SECOND", "1", "how fast each carrier is asked to place calls; more wait in order", func(s *settings, v string) (err error) {
		s.callsPerSecond, err = strconv.ParseFloat(v, 64)
		if err != nil || !(s.callsPerSecond > 0 && s.callsPerSecond <= 1000) {
			return fmt.Errorf("%q is not a number above 0, and at most 1000", v)
		}
		return nil
	}},
	{"DIAL_ALLOW", "", "prefixes of numbers that may be dialed, such as +1,+44; all ordinary numbers if left out", func(s *settings, v string) error {
		s.dialAllow = splitList(v)
		if (call.Destinations{AllowPrefixes: s.dialAllow}).Validate() != nil {
			return fmt.Errorf("%q is not made of a plus sign and digits, with commas between", v)
		}
		return nil
	}},
	{"MAX_DURATION", "1h", "ends a call, whatever it is doing", func(s *settings, v string) (err error) {
		s.maxDuration, err = duration(v, time.Second)
		return err
	}},
	{"SILENCE_TIMEOUT", "0", "ends a call on which nobody speaks; 0: never", func(s *settings, v string) (err error) {
		s.silence, err = duration(v, 0)
		return err
	}},
	{"RING_TIMEOUT", "60s", "ends a call that nobody answers", func(s *settings, v string) (err error) {
		s.ringTimeout, err = duration(v, time.Second)
		return err
	}},
	{"DRAIN_TIMEOUT", "30s", "how long live calls may go on after SIGTERM or SIGINT; a second one ends at once", func(s *settings, v string) (err error) {
		s.drainTimeout, err = duration(v, 0)
		return err
	}},
	{"RETENTION", "0", "how long after its end a call is kept, with its recording and transcript; 0: for ever", func(s *settings, v string) (err error) {
		s.retention, err = duration(v, 0)
		return err
	}},
	{"LOG_LEVEL", "info", "debug, info, warn or error", func(s *settings, v string) error {
		if !slices.Contains([]string{"debug", "info", "warn", "error"}, v) {
			return fmt.Errorf("%q is not debug, info, warn or error", v)
		}
		return s.logLevel.UnmarshalText([]byte(v))
	}},
	{"LOG_FORMAT", "text", "text or json", func(s *settings, v string) error {
		s.logFormat = v
		if v != "text" && v != "json" {
			return fmt.Errorf("%q is not text or json", v)
		}
		return nil
	}},
	{"TRANSFER_TO", "", "the number to which the receptionist connects callers who press 0", func(s *settings, v string) (err error) {
		s.transferTo, err = telephony.ParseNumber(v)
		return err
	}},
	{"BROWSER_ORIGINS", "", "web origins whose pages may have call buttons, besides that of PUBLIC_URL, such as https://shop.example.com", func(s *settings, v string) error {
		s.browserOrigins = splitList(v)
		for _, origin := range s.browserOrigins {
			u, err := url.Parse(origin)
			if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
				return fmt.Errorf("%q is not a scheme and a host", origin)
			}
		}
		return nil
	}},
	{"ALLOW_INSECURE_STREAMS", "false", "true: media sockets at /ws/stream/{provider}/{agent} need no token; for load tests on loopback", func(s *settings, v string) (err error) {
		s.insecureStream, err = strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is not true or false", v)
		}
		return nil
	}},
}

// parseSettings reads the settings: a flag wins over the environment, and that
// over the default. The error is one line; it repeats no secret. For -h it is
// flag.ErrHelp.
func parseSettings(args []string, getenv func(string) string) (*settings, error) {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	given := make(map[string]*string)
	for _, t := range table {
		given[t.name] = flags.String(t.flag(), "", t.meaning)
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q: there are only settings, such as -listen-addr=127.0.0.1:8010", flags.Arg(0))
	}
	value := func(name string) string {
		if v := *given[name]; v != "" {
			return v
		}
		return getenv(name)
	}
	s := &settings{}
	for _, t := range table {
		v := value(t.name)
		if v == "" {
			v = t.standard
		}
		if v == "" {
			continue
		}
		if err := t.set(s, v); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return s, s.check()
}

// check looks at settings that depend on each other.
func (s *settings) check() error {
	companies := map[string]telephony.Validator{"twilio": &s.twilio, "plivo": &s.plivo}
	for _, name := range s.providers {
		p, ok := companies[name]
		if !ok {
			continue
		}
		if err := p.Validate(); err != nil {
			return fmt.Errorf("PROVIDERS: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	if err := s.transcription.check(); err != nil {
		return fmt.Errorf("TRANSCRIBER: %w", err)
	}
	if s.asksRealtime() {
		if err := errors.Join(s.transcription.openaiSet(), (&realtime.Agent{BaseURL: s.transcription.openai.BaseURL}).Validate()); err != nil {
			return fmt.Errorf("%s, which the agent realtime needs", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	if (s.cluster.Address == "") != (s.cluster.Secret == "") {
		return errors.New("CLUSTER_ADDRESS, CLUSTER_SECRET: one needs the other")
	}
	if s.cluster.Address != "" && s.database == "" {
		return errors.New("CLUSTER_ADDRESS: DATABASE_URL is in memory, which no other server shares")
	}
	if s.insecureStream && !onLoopback(s.listenAddr) {
		return errors.New("ALLOW_INSECURE_STREAMS: LISTEN_ADDR is not a loopback address")
	}
	return nil
}

func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func setProviders(s *settings, v string) error {
	s.providers = splitList(v)
	for i, p := range s.providers {
		switch {
		case slices.Contains(s.providers[:i], p):
			return fmt.Errorf("%q is there twice", p)
		case p != "sim" && p != "twilio" && p != "plivo":
			return fmt.Errorf("%q is not sim, twilio or plivo", p)
		}
	}
	return nil
}

func setDatabase(s *settings, v string) error {
	scheme, path, _ := strings.Cut(v, ":")
	switch {
	case scheme == "memory" && path == "":
		s.database = ""
		return nil
	case scheme == "sqlite" && path != "":
		s.database = v
		return nil
	case scheme == "postgres" || scheme == "postgresql":
		s.database = v // it is checked when it is opened: it holds a password
		return nil
	}
	return errors.New("is not sqlite:PATH, postgres://… or memory:")
}

func duration(v string, least time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < least {
		return 0, fmt.Errorf("%q is not a duration of at least %v, such as 90s or 1h", v, least)
	}
	return d, nil
}

// secrets are the one to use and those that were used before.
func secrets(v string) (current telephony.Secret, previous []telephony.Secret) {
	all := splitList(v)
	for _, t := range all[1:] {
		previous = append(previous, telephony.Secret(t))
	}
	return telephony.Secret(all[0]), previous
}

// splitList splits at commas; there is at least one item.
func splitList(v string) []string {
	items := strings.Split(v, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// printHelp lists the settings.
func printHelp(w io.Writer) {
	fmt.Fprint(w, "Settings are variables of the environment, or flags of the same name in lower\ncase with dashes, such as -listen-addr=127.0.0.1:8010. A flag wins.\n\n")
	for _, t := range table {
		standard := ""
		if t.standard != "" {
			standard = " [" + t.standard + "]"
		}
		fmt.Fprintf(w, "  %s%s\n        %s\n", t.name, standard, t.meaning)
	}
}
