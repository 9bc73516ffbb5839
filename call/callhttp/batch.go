package callhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call"
)

func (a *API) registerBatch(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/calls/batch", "place-calls", "Place many calls", http.StatusMultiStatus,
		[]Problem{invalidRequest, tooLarge, unsupportedType},
	}, a.placeBatch)
}

type batchRequest struct {
	Calls []json.RawMessage `json:"calls"`
}

type batchInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"240" doc:"The same key with the same request at the same place in the list is the same call."`
	Body           struct {
		Calls []placeRequest `json:"calls" minItems:"1" maxItems:"1000" nullable:"false" doc:"Each as for POST /api/calls. One that is not made as the schema says refuses them all."`
	} `nameHint:"Batch"`
	RawBody []byte
}

type batchOutput struct {
	Body struct {
		Results []batchResult `json:"results" doc:"One for each call, in order."`
	} `nameHint:"BatchResults"`
}

type batchResult struct {
	Status  int      `json:"status" doc:"What POST /api/calls would have answered." example:"201"`
	Call    *placed  `json:"call,omitempty" doc:"If it was placed."`
	Problem *Problem `json:"problem,omitempty" doc:"If it was not."`
}

// placeBatch places what can be placed and tells what became of each.
func (a *API) placeBatch(ctx context.Context, in *batchInput) (*batchOutput, error) {
	if err := checkBatch(in.RawBody); err != nil {
		return nil, err
	}
	results := make([]batchResult, len(in.Body.Calls))
	var reqs []call.Request
	var places []int // of reqs in results
	for i := range in.Body.Calls {
		req, err := a.placing(&in.Body.Calls[i])
		if err != nil {
			results[i] = notPlaced(i, a.problem(ctx, err))
			continue
		}
		req.Tenant = tenantOf(ctx)
		if in.IdempotencyKey != "" {
			req.IdempotencyKey = fmt.Sprintf("%s#%d", in.IdempotencyKey, i)
		}
		reqs, places = append(reqs, req), append(places, i)
	}
	for n, p := range a.cfg.Service.PlaceAll(ctx, reqs) {
		i := places[n]
		if p.Err != nil {
			results[i] = notPlaced(i, a.problem(ctx, p.Err))
			continue
		}
		body := newPlaced(p.Call)
		results[i] = batchResult{Status: http.StatusCreated, Call: &body}
	}
	out := &batchOutput{}
	out.Body.Results = results
	return out, nil
}

// checkBatch is checkNames for a batch.
func checkBatch(raw []byte) error {
	if err := checkNames("body", raw, batchFields); err != nil {
		return err
	}
	var body batchRequest
	if err := json.Unmarshal(raw, &body); err != nil {
		return invalidRequest.at("body", "is not JSON")
	}
	for i, object := range body.Calls {
		if err := checkNames(fmt.Sprintf("body.calls[%d]", i), object, placeFields); err != nil {
			return err
		}
	}
	return nil
}

// notPlaced is the result of request i, for which there is a problem.
func notPlaced(i int, p *Problem) batchResult {
	for n := range p.Errors {
		f := &p.Errors[n]
		if rest, found := strings.CutPrefix(f.Location, "body."); found {
			f.Location = fmt.Sprintf("body.calls[%d].%s", i, rest)
			p.Detail = f.Location + ": " + f.Message
		}
	}
	return batchResult{Status: p.Status, Problem: p}
}
