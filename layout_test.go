package switchboard_test

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/switchboard-voice/switchboard"

// rooms says what each package may import of this module and of others, and
// why. What is not here is not allowed; tests are not looked at, so that heavy
// helpers may be used in them.
var rooms = map[string]struct {
	own     []string // packages of this module
	outside []string // modules
	why     string
}{
	"":                             {nil, nil, "documentation only"},
	"audio":                        {nil, []string{"github.com/zaf/g711"}, "samples know nothing but the G.711 tables"},
	"audio/audiotest":              {[]string{"audio"}, nil, "for tests of sound"},
	"telephony":                    {nil, nil, "the words of the telephone network need the standard library only"},
	"telephony/numbering":          {[]string{"telephony"}, []string{"github.com/nyaruka/phonenumbers"}, "the numbering plans of the world, which are heavy"},
	"stream":                       {[]string{"audio", "internal/wheel"}, []string{"github.com/gorilla/websocket"}, "sound over WebSockets, whoever calls"},
	"routing":                      {[]string{"telephony", "internal/wallclock"}, nil, "decides by numbers, agents and hours"},
	"recording":                    {[]string{"audio"}, []string{"github.com/cenkalti/backoff"}, "keeps sound, and tries again where it goes"},
	"stream/streamtest":            {[]string{"audio", "stream"}, nil, "judges media protocols"},
	"telephony/telephonytest":      {[]string{"telephony"}, nil, "judges carriers"},
	"recording/recordingtest":      {[]string{"audio", "recording"}, nil, "judges storages and recorders"},
	"recording/s3store":            {[]string{"recording", "telephony"}, []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}, "a storage, with the SDK that finds credentials everywhere"},
	"transcript":                   {[]string{"audio"}, nil, "turns sound into words"},
	"transcript/transcripttest":    {[]string{"audio", "transcript"}, nil, "judges transcribers"},
	"transcript/internal/tape":     {[]string{"audio"}, nil, "keeps sound until it has become words"},
	"transcript/internal/live":     {[]string{"audio", "transcript", "transcript/internal/tape"}, nil, "words over connections that break"},
	"transcript/internal/livetest": {[]string{"audio", "transcript", "transcript/internal/live"}, nil, "speech and a recogniser for tests"},
	"transcript/deepgram":          {[]string{"audio", "telephony", "transcript", "transcript/internal/live"}, []string{"github.com/gorilla/websocket"}, "a service, over its WebSocket"},
	"transcript/google":            {[]string{"audio", "transcript", "transcript/internal/live"}, []string{"cloud.google.com/go/speech", "google.golang.org/grpc", "google.golang.org/genproto", "google.golang.org/protobuf"}, "a service, over gRPC"},
	"transcript/openai":            {[]string{"audio", "telephony", "transcript", "transcript/internal/live", "transcript/internal/tape"}, nil, "any server that takes files as that service does"},
	"telephony/twilio":             {[]string{"audio", "telephony", "stream", "internal/guard", "internal/jsonscan", "internal/markup"}, []string{"github.com/twilio/twilio-go", "github.com/golang-jwt/jwt", "github.com/pkg/errors", "github.com/golang/mock"}, "a carrier, with its SDK"},
	"telephony/plivo":              {[]string{"audio", "telephony", "stream", "internal/guard", "internal/jsonscan", "internal/markup"}, []string{"github.com/plivo/plivo-go"}, "a carrier, with its SDK"},
	"telephony/sim":                {[]string{"audio", "telephony"}, []string{"github.com/gorilla/websocket"}, "a simulated carrier shares no code with the adapters it tests"},
	"call":                         {[]string{"audio", "telephony", "stream", "routing", "recording", "transcript"}, []string{"github.com/cenkalti/backoff"}, "where all of it meets; no carrier, no SDK"},
	"call/calltest":                {[]string{"audio", "call", "telephony", "telephony/sim", "telephony/twilio", "telephony/plivo", "internal/memnet"}, []string{"github.com/google/go-cmp"}, "telephone networks for tests, one for each carrier's adapter"},
	"call/callhttp":                {[]string{"call", "call/campaign", "call/queue", "call/schedule", "recording", "routing", "stream", "telephony", "transcript"}, []string{"github.com/danielgtaylor/huma"}, "the REST API over a service"},
	"call/callotel":                {[]string{"call", "internal/guard", "transcript"}, []string{"go.opentelemetry.io/otel"}, "traces and metrics, by OpenTelemetry's API and no SDK"},
	"call/campaign":                {[]string{"call", "routing", "telephony", "telephony/numbering"}, nil, "calls to many numbers, by the clocks of the places where they ring"},
	"call/campaign/campaigntest":   {[]string{"call", "call/campaign", "routing", "telephony"}, []string{"github.com/google/go-cmp"}, "judges stores of campaigns"},
	"call/campaign/sqlstore":       {[]string{"call/campaign", "internal/sqldb"}, nil, "campaigns in a database"},
	"call/dialplan":                {[]string{"call", "telephony/numbering"}, nil, "a policy by the numbering plans, for who wants to carry them"},
	"call/quota":                   {[]string{"call"}, nil, "policies that count: calls, pace and money"},
	"call/queue":                   {[]string{"audio", "call", "routing", "telephony"}, nil, "callers who wait for agents"},
	"call/queue/queuetest":         {[]string{"call", "call/queue", "routing"}, []string{"github.com/google/go-cmp"}, "judges stores of places"},
	"call/queue/sqlstore":          {[]string{"call", "call/queue", "internal/sqldb", "routing"}, nil, "places in a database"},
	"call/schedule":                {[]string{"call", "internal/wallclock", "routing", "telephony"}, []string{"github.com/robfig/cron"}, "calls at times given in advance"},
	"call/schedule/scheduletest":   {[]string{"call", "call/schedule", "routing"}, []string{"github.com/google/go-cmp"}, "judges stores of schedules"},
	"call/schedule/sqlstore":       {[]string{"call/schedule", "internal/sqldb"}, nil, "schedules in a database"},
	"call/sqlstore":                {[]string{"call", "internal/sqldb", "telephony"}, nil, "records in a database"},
	"internal/guard":               {[]string{"telephony"}, nil, "HTTP towards carriers"},
	"internal/guard/guardtest":     {nil, nil, "judges what talks to carriers"},
	"internal/jsonscan":            {[]string{"audio", "stream"}, nil, "the JSON of media streams"},
	"internal/jsonscan/jsontest":   {[]string{"internal/jsonscan", "stream"}, nil, "judges decoders of JSON"},
	"internal/markup":              {[]string{"telephony"}, nil, "the XML that carriers are answered with"},
	"internal/markup/markuptest":   {nil, nil, "reads that XML back"},
	"internal/openapitest":         {nil, nil, "checks an adapter against its carrier's description"},
	"internal/memnet":              {nil, nil, "a network in memory"},
	"internal/sqldb":               {nil, []string{"modernc.org/sqlite", "github.com/jackc/pgx"}, "databases that stores are in"},
	"internal/wallclock":           {nil, nil, "when clocks show a time"},
	"internal/servertest":          {nil, []string{"go.uber.org/goleak"}, "runs servers of others for tests"},
	"internal/pgtest":              {[]string{"internal/servertest"}, []string{"github.com/jackc/pgx"}, "a PostgreSQL server for tests"},
	"internal/s3test":              {[]string{"internal/servertest"}, nil, "an S3 server for tests"},
	"internal/browsertest":         {nil, []string{"github.com/gorilla/websocket"}, "a browser for tests"},
	"internal/wheel":               {nil, nil, "timers for many streams"},
}

type pkg struct {
	path    string
	imports []string
}

// packages lists the module's packages with what each imports directly.
func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		all = append(all, pkg{path: f[0], imports: f[1:]})
	}
	return all
}

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.path, module), "/")
		if strings.HasPrefix(name, "examples") {
			continue // they may use everything
		}
		room, ok := rooms[name]
		if !ok {
			t.Errorf("%s is in no room: add it to the table with a reason", p.path)
			continue
		}
		for _, i := range p.imports {
			own, ours := strings.CutPrefix(i, module+"/")
			switch {
			case ours && !slices.Contains(room.own, own):
				t.Errorf("%s imports %s: not allowed (%s)", name, own, room.why)
			case !ours && strings.Contains(strings.Split(i, "/")[0], ".") && !slices.ContainsFunc(room.outside, func(m string) bool { return strings.HasPrefix(i, m) }):
				t.Errorf("%s imports %s: not allowed (%s)", name, i, room.why)
			}
		}
	}
}

// A host that imports call compiles three modules of others and no SDK.
func TestCallIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{.Path}}{{end}}`, module+"/call").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	got = slices.Compact(got)
	want := []string{
		"github.com/cenkalti/backoff/v4",
		"github.com/gorilla/websocket",
		module,
		"github.com/zaf/g711",
	}
	if !slices.Equal(got, want) {
		t.Errorf("call needs the modules %q, want %q", got, want)
	}
}
