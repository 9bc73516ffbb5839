package callhttp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// describe registers all routes and writes the OpenAPI document of them.
//
// huma keeps a few settings in package variables, which belong to the host:
// nothing here reads or writes one. Its way with errors is changed per API
// instead: fromHuma rewrites their bodies and badRequest their status.
func (a *API) describe() error {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	api := humago.New(a.routes, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Calls",
				Version:     "1",
				Description: "Phone calls that talk: place them, follow them, end them.",
			},
			Servers: []*huma.Server{{URL: cmp.Or(a.cfg.Prefix, "/")}},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer"},
				},
			},
			Security: []map[string][]string{{"bearer": {}}},
		},
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) {
			if m, ok := v.(*huma.ErrorModel); ok {
				return fromHuma(m), nil
			}
			return v, nil
		}},
	})
	api.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) { next(badRequest{ctx}) })

	a.registerCalls(api)
	a.registerBatch(api)
	a.registerControl(api)
	a.registerCarrierRecordings(api)
	a.registerTickets(api)
	a.registerListening(api)
	a.registerEvents(api)
	if a.cfg.Campaigns != nil {
		a.registerCampaigns(api)
	}
	if a.cfg.Schedules != nil {
		a.registerSchedules(api)
	}
	if a.cfg.Queues != nil {
		a.registerQueues(api)
	}

	tidy(api.OpenAPI())
	spec, err := json.Marshal(api.OpenAPI())
	a.spec = spec
	return err
}

// jsonFormat writes answers in one piece. A write that fails is not reported:
// the client has gone, and huma would panic.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false) // addresses stay as they are
		if err := encoder.Encode(v); err != nil {
			return err
		}
		_, _ = w.Write(b.Bytes())
		return nil
	},
	Unmarshal: json.Unmarshal,
}

// humaContext has a name of its own because huma.Context has a method Context.
type humaContext huma.Context

// badRequest says 400 where huma says 422.
type badRequest struct{ humaContext }

func (b badRequest) SetStatus(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	b.humaContext.SetStatus(status)
}

// Unwrap returns the context inside, for humago.Unwrap.
func (b badRequest) Unwrap() huma.Context { return b.humaContext }

// route describes one route: what it answers when all is well, and otherwise.
type route struct {
	method, path string
	id, summary  string
	status       int
	problems     []Problem
}

// register adds a route.
func register[I, O any](api huma.API, r route, handler func(context.Context, *I) (*O, error)) {
	problem := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	content := map[string]*huma.MediaType{problemType: {Schema: problem}}
	responses := map[string]*huma.Response{
		"default": {Description: "Something went wrong inside.", Content: content},
	}
	for _, p := range append(r.problems, unauthorized, storeAway, noLease, unreachable) {
		status := strconv.Itoa(p.Status)
		text := p.Title + ": " + p.Type[len(TypePrefix):] + "."
		if known := responses[status]; known != nil {
			text = known.Description + " " + text
		}
		responses[status] = &huma.Response{Description: text, Content: content}
	}
	huma.Register(api, huma.Operation{
		Method:        r.method,
		Path:          r.path,
		OperationID:   r.id,
		Summary:       r.summary,
		DefaultStatus: r.status,
		Responses:     responses,
		// huma counts a body of just this size as too large.
		MaxBodyBytes: maxBody + 1,
	}, handler)
}

// mayBeSo says in the document that a route answers 200, with the same body, if what
// it is asked for is so already.
func mayBeSo(api huma.API, path string) {
	responses := api.OpenAPI().Paths[path].Post.Responses
	so := *responses["202"]
	so.Description = "It was so already."
	responses["200"] = &so
}

// tidy removes from the document what huma says of its own errors, and a keyword that
// OpenAPI does not have.
func tidy(doc *huma.OpenAPI) {
	maps.DeleteFunc(doc.Components.Schemas.Map(), func(name string, _ *huma.Schema) bool {
		return name == "ErrorModel" || name == "ErrorDetail"
	})
	for _, schema := range doc.Components.Schemas.Map() {
		for _, property := range schema.Properties {
			property.PatternDescription = "" // what it is for has been put together by now
		}
	}
}
