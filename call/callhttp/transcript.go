package callhttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/transcript"
)

// said is a transcript in JSON.
type said struct {
	CallID     string    `json:"call_id"`
	Transcript []segment `json:"transcript"`
}

// A form is a way to write a transcript.
type form struct {
	name, contentType string
	write             func(w io.Writer, id string, segments []transcript.Segment) error
}

// forms are all of them; the first is what one gets who does not mind.
var forms = []form{
	{"json", "application/json", func(w io.Writer, id string, all []transcript.Segment) error {
		return jsonFormat.Marshal(w, said{id, segments(all)})
	}},
	{"vtt", "text/vtt", func(w io.Writer, _ string, all []transcript.Segment) error { return transcript.WriteVTT(w, all) }},
	{"text", "text/plain", func(w io.Writer, _ string, all []transcript.Segment) error {
		return transcript.WriteText(w, all)
	}},
}

func (a *API) registerTranscript(api huma.API) {
	const path = "/api/calls/{id}/transcript"
	register(api, route{
		http.MethodGet, path, "get-transcript", "What was said on a call, so far if it lives", http.StatusOK,
		[]Problem{callNotFound},
	}, a.transcript)

	ok := api.OpenAPI().Paths[path].Get.Responses["200"]
	ok.Description = "The transcript, in JSON, as subtitles or as text."
	ok.Content = map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[said](), true, "Transcript")},
	}
	for _, f := range forms[1:] {
		ok.Content[f.contentType] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
}

type transcriptInput struct {
	ID     string `path:"id" maxLength:"255"`
	Format string `query:"format" enum:"json,vtt,text" doc:"Wins over Accept."`
	Accept string `header:"Accept" maxLength:"1024"`
}

type transcriptOutput struct {
	ContentType string `header:"Content-Type"`
	Vary        string `header:"Vary"`
	Body        []byte
}

func (a *API) transcript(ctx context.Context, in *transcriptInput) (*transcriptOutput, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	f := wanted(in.Format, in.Accept)
	var b bytes.Buffer
	if err := f.write(&b, c.ID, c.Transcript); err != nil {
		return nil, a.problem(ctx, err)
	}
	contentType := f.contentType
	if strings.HasPrefix(contentType, "text/") {
		contentType += "; charset=utf-8"
	}
	return &transcriptOutput{ContentType: contentType, Vary: "Accept", Body: b.Bytes()}, nil
}

// wanted is the form of that name, or else the one that an Accept header likes
// best (RFC 9110, section 12.5.1). Who accepts none gets the first.
func wanted(name, accept string) form {
	best, quality := forms[0], 0.0
	for part := range strings.SplitSeq(accept, ",") {
		mediaType, parameters, _ := strings.Cut(strings.ToLower(part), ";")
		q := 1.0
		if _, v, ok := strings.Cut(parameters, "q="); ok {
			q, _ = strconv.ParseFloat(strings.TrimSpace(v), 64) // 0 if it is none
		}
		for _, f := range forms {
			if f.contentType == strings.TrimSpace(mediaType) && q > quality {
				best, quality = f, q
			}
		}
	}
	for _, f := range forms {
		if f.name == name {
			return f
		}
	}
	return best
}
