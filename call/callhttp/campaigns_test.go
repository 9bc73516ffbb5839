package callhttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/campaign"
)

// withCampaigns is setup with a Runner, which runs until the test ends.
func withCampaigns(t *testing.T) *bench {
	t.Helper()
	placer := &latePlacer{}
	runner, err := campaign.New(campaign.Config{Service: placer, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(_ *call.Config, cfg *Config) { cfg.Campaigns = runner })
	placer.Service = b.svc
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return b
}

// latePlacer is a service that is made after the runner.
type latePlacer struct{ *call.Service }

const campaignBody = `{"agent_id":"echo","from_phone":"+12025550100","hours":"Mon-Sun 00:00-24:00",` +
	`"retry":{"busy_seconds":60,"machine_seconds":-1},"failure_limit":{"share":0.5,"of":20},` +
	`"contacts":[{"phone_number":"+12127550100","customer_data":{"name":"Ann","orders":3}},{"phone_number":"+12127550101"}]}`

func TestCampaignFromCreationToErasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withCampaigns(t)
		w := b.ask("acme", "POST", "/api/campaigns", campaignBody)
		got := decode[campaignView](t, w, http.StatusCreated)
		path := "/api/campaigns/" + got.CampaignID
		if w.Header().Get("Location") != "/phone"+path || got.Status != "paused" || got.Progress.Waiting != 2 || got.Progress.EstimatedEnd == nil {
			t.Errorf("created %+v at %q", got, w.Header().Get("Location"))
		}
		more := decode[struct{ Added int }](t, b.ask("acme", "POST", path+"/contacts",
			`{"contacts":[{"phone_number":"+12127550101"},{"phone_number":"+12127550102"}]}`), http.StatusOK)
		if more.Added != 1 {
			t.Errorf("%d were added", more.Added)
		}
		list := decode[struct{ Campaigns []CampaignSummary }](t, b.ask("acme", "GET", "/api/campaigns?status=paused", ""), http.StatusOK)
		if len(list.Campaigns) != 1 || list.Campaigns[0].CampaignID != got.CampaignID || list.Campaigns[0].Hours != "Mon 00:00-24:00, Tue 00:00-24:00, Wed 00:00-24:00, Thu 00:00-24:00, Fri 00:00-24:00, Sat 00:00-24:00, Sun 00:00-24:00" {
			t.Errorf("list %+v", list)
		}
		wantProblem(t, b.ask("acme", "DELETE", path, ""), 409, "campaign_state")
		if got := decode[campaignView](t, b.ask("acme", "POST", path+"/start", ""), http.StatusOK); got.Status != "running" {
			t.Errorf("started: %+v", got)
		}
		time.Sleep(10 * time.Second)
		if n := len(b.carrier.requests); n != 3 {
			t.Errorf("%d were dialed", n)
		}
		if first := <-b.carrier.requests; first.To != "+12127550100" {
			t.Errorf("the first was %v", first.To)
		}
		if got := decode[campaignView](t, b.ask("acme", "POST", path+"/pause", ""), http.StatusOK); got.Status != "paused" || got.Progress.Live != 3 {
			t.Errorf("paused: %+v", got)
		}
		if got := decode[campaignView](t, b.ask("acme", "POST", path+"/stop", ""), http.StatusOK); got.Status != "stopped" || got.Reason == "" {
			t.Errorf("stopped: %+v", got)
		}
		wantProblem(t, b.ask("acme", "POST", path+"/start", ""), 409, "campaign_state")
		lines := b.ask("acme", "GET", path+"/results", "")
		if n := strings.Count(lines.Body.String(), "\n"); lines.Code != http.StatusOK || n != 3 || !strings.Contains(lines.Body.String(), `"orders":"3"`) {
			t.Errorf("results are %d %s", lines.Code, lines.Body)
		}
		table := b.ask("acme", "GET", path+"/results?format=csv", "")
		if n := strings.Count(table.Body.String(), "\n"); n != 4 || !strings.HasPrefix(table.Header().Get("Content-Type"), "text/csv") {
			t.Errorf("results are %q %s", table.Header(), table.Body)
		}
		if w := b.ask("acme", "DELETE", path, ""); w.Code != http.StatusNoContent {
			t.Errorf("DELETE: %d", w.Code)
		}
		wantProblem(t, b.ask("acme", "GET", path, ""), 404, "campaign_not_found")
	})
}

func TestSameKeyIsSameCampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withCampaigns(t)
		create := func(tenant, body string) string {
			return decode[campaignView](t, b.ask(tenant, "POST", "/api/campaigns", body, "Idempotency-Key", "k"), http.StatusCreated).CampaignID
		}
		first := create("acme", campaignBody)
		if again := create("acme", campaignBody); again != first {
			t.Errorf("the same key made %s and then %s", first, again)
		}
		if other := create("other", campaignBody); other == first {
			t.Error("another tenant's key found the campaign of this one")
		}
		different := strings.Replace(campaignBody, `"of":20`, `"of":21`, 1)
		wantProblem(t, b.ask("acme", "POST", "/api/campaigns", different, "Idempotency-Key", "k"), 409, "idempotency_conflict")
	})
}

func TestWhatIsNoCampaignIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withCampaigns(t)
		for name, tt := range map[string]struct {
			old, new       string
			status         int
			word, location string
		}{
			"a field is unknown":            {`"agent_id"`, `"colour":"red","agent_id"`, 400, "invalid_request", "body.colour"},
			"a field of a contact":          {`{"phone_number":"+12127550101"}`, `{"phone_number":"+12127550101","Name":"x"}`, 400, "invalid_request", "body.contacts[1].Name"},
			"a contact has no number":       {"+12127550101", "12", 400, "invalid_phone_number", "body.contacts[1].phone_number"},
			"a contact has too many data":   {`{"name":"Ann","orders":3}`, manyEntries(33), 400, "invalid_request", "body.contacts[0]"},
			"our number is none":            {"+12025550100", "x", 400, "invalid_phone_number", "body.from_phone"},
			"the hours are none":            {"Mon-Sun 00:00-24:00", "always", 400, "invalid_request", "body.hours"},
			"the pace is too high":          {`"agent_id"`, `"calls_per_second":1001,"agent_id"`, 400, "invalid_request", "body.calls_per_second"},
			"the limit is no share":         {`"share":0.5`, `"share":2`, 400, "invalid_request", "body.failure_limit.share"},
			"the data are not the contacts": {`"agent_id"`, `"customer_data":{"a":"b"},"agent_id"`, 400, "invalid_request", "body.customer_data"},
			"there is no such agent":        {`"echo"`, `"nobody"`, 404, "agent_not_found", "body.agent_id"},
			"there is no such carrier":      {`"agent_id"`, `"provider":"nobody","agent_id"`, 400, "invalid_request", "body.provider"},
			"the metadata are too many":     {`"agent_id"`, `"metadata":` + manyEntries(65) + `,"agent_id"`, 400, "invalid_request", "body.customer_data"},
		} {
			p := wantProblem(t, b.ask("acme", "POST", "/api/campaigns", strings.Replace(campaignBody, tt.old, tt.new, 1)), tt.status, tt.word)
			if len(p.Errors) == 0 || p.Errors[0].Location != tt.location {
				t.Errorf("%s: faults %+v, want the first at %s", name, p.Errors, tt.location)
			}
		}
		if list := decode[struct{ Campaigns []CampaignSummary }](t, b.ask("acme", "GET", "/api/campaigns", ""), 200); len(list.Campaigns) != 0 {
			t.Errorf("there are %+v", list.Campaigns)
		}
	})
}

func TestAnotherTenantsCampaignDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withCampaigns(t)
		id := decode[campaignView](t, b.ask("acme", "POST", "/api/campaigns", campaignBody), http.StatusCreated).CampaignID
		for _, route := range []string{
			"GET ", "POST /start", "POST /pause", "POST /stop", "DELETE ", "GET /results", `POST /contacts {"contacts":[{"phone_number":"+12127550105"}]}`,
		} {
			method, rest, _ := strings.Cut(route, " ")
			rest, body, _ := strings.Cut(rest, " ")
			foreign := b.ask("other", method, "/api/campaigns/"+id+rest, body)
			unknown := b.ask("other", method, "/api/campaigns/none"+rest, body)
			wantProblem(t, foreign, 404, "campaign_not_found")
			if foreign.Body.String() != unknown.Body.String() {
				t.Errorf("%s: %s and %s", route, foreign.Body, unknown.Body)
			}
		}
	})
}
