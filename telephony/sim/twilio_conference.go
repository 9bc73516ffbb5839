package sim

import (
	"net/http"
	"strings"
	"time"
)

// conferences serves the resources of conferences: all of them, one, its members
// or one of these.
func (t *twilio) conferences(w http.ResponseWriter, r *http.Request, parts []string, unknown *apiError) *apiError {
	if len(parts) == 0 {
		if r.Method != http.MethodGet {
			return notAllowed
		}
		return t.listConferences(w, r)
	}
	f := t.carrier.conferences.get(parts[0])
	switch {
	case f == nil || len(parts) > 1 && parts[1] != "Participants" || len(parts) > 3:
		return unknown
	case len(parts) == 1:
		return t.conference(w, r, f)
	case len(parts) == 2:
		if r.Method != http.MethodGet {
			return notAllowed // calls that join by request are not simulated
		}
		list := []any{}
		for _, m := range t.carrier.conferences.membersOf(f) {
			list = append(list, t.participant(m))
		}
		writeJSON(w, http.StatusOK, wholePage(r, "participants", list))
		return nil
	}
	for _, m := range t.carrier.conferences.membersOf(f) {
		if m.call.sid == parts[2] {
			return t.member(w, r, m)
		}
	}
	return unknown
}

// wholePage is a list that has one page.
func wholePage(r *http.Request, name string, list []any) map[string]any {
	uri := r.URL.RequestURI()
	return map[string]any{
		name: list, "start": 0, "end": max(0, len(list)-1), "page": 0, "page_size": maxPage,
		"uri": uri, "first_page_uri": uri, "next_page_uri": nil, "previous_page_uri": nil,
	}
}

func (t *twilio) listConferences(w http.ResponseWriter, r *http.Request) *apiError {
	list := []any{}
	for _, f := range t.carrier.conferences.list() {
		v := t.conferenceResource(f)
		name, status := r.Form.Get("FriendlyName"), r.Form.Get("Status")
		if (name == "" || name == f.name) && (status == "" || status == v["status"]) && len(list) < maxPage {
			list = append(list, v)
		}
	}
	writeJSON(w, http.StatusOK, wholePage(r, "conferences", list))
	return nil
}

// conference serves one conference, which can be ended.
func (t *twilio) conference(w http.ResponseWriter, r *http.Request, f *conference) *apiError {
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		if s := r.PostForm.Get("Status"); s != "completed" {
			return refuse(errParam, "Status %.20q is not valid", s)
		}
		t.carrier.conferences.close(f)
	default:
		return notAllowed
	}
	writeJSON(w, http.StatusOK, t.conferenceResource(f))
	return nil
}

// member serves one member, who can be muted, held and sent out.
func (t *twilio) member(w http.ResponseWriter, r *http.Request, m *member) *apiError {
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		given := func(name string) *bool {
			if !r.PostForm.Has(name) {
				return nil
			}
			yes := r.PostForm.Get(name) == "true"
			return &yes
		}
		if s := r.PostForm.Get("HoldUrl"); s != "" && !isWebURL(s) {
			return refuse(errParam, "HoldUrl is not a valid URL")
		}
		t.carrier.conferences.set(m, given("Muted"), given("Hold"), given("EndConferenceOnExit"))
	case http.MethodDelete:
		m.send()
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return notAllowed
	}
	writeJSON(w, http.StatusOK, t.participant(m))
	return nil
}

func (t *twilio) conferenceResource(f *conference) map[string]any {
	h := &t.carrier.conferences
	h.mu.Lock()
	defer h.mu.Unlock()
	uri := t.account() + "/Conferences/" + f.id
	v := map[string]any{
		"account_sid":                t.carrier.config.AccountSID,
		"api_version":                apiVersion,
		"call_sid_ending_conference": nil,
		"date_created":               mailTime(f.created),
		"date_updated":               mailTime(f.created),
		"friendly_name":              f.name,
		"reason_conference_ended":    nil,
		"region":                     "us1",
		"sid":                        f.id,
		"status":                     "init",
		"subresource_uris":           map[string]string{"participants": uri + "/Participants.json", "recordings": uri + "/Recordings.json"},
		"uri":                        uri + ".json",
	}
	if f.started {
		v["status"] = "in-progress"
	}
	if !f.ended.IsZero() {
		v["status"] = "completed"
		v["date_updated"] = mailTime(f.ended)
		v["reason_conference_ended"] = f.reason()
		if f.endedBy != nil {
			v["call_sid_ending_conference"] = f.endedBy.call.sid
		}
	}
	return v
}

// reason is why a conference is over. conferences.mu is held.
func (f *conference) reason() string {
	switch {
	case f.endedBy != nil && f.endedBy.ends:
		return "participant-with-end-conference-on-exit-left"
	case f.byRequest:
		return "conference-ended-via-api"
	}
	return "last-participant-left"
}

func (t *twilio) participant(m *member) map[string]any {
	h := &t.carrier.conferences
	h.mu.Lock()
	defer h.mu.Unlock()
	joined := m.joined.UTC().Format(time.RFC1123Z)
	return map[string]any{
		"account_sid":               t.carrier.config.AccountSID,
		"call_sid":                  m.call.sid,
		"call_sid_to_coach":         nil,
		"coaching":                  false,
		"conference_sid":            m.conference.id,
		"date_created":              joined,
		"date_updated":              joined,
		"end_conference_on_exit":    m.ends,
		"hold":                      m.seat.held,
		"label":                     nil,
		"muted":                     m.seat.muted,
		"queue_time":                "0",
		"start_conference_on_enter": m.starts,
		"status":                    "connected",
		"uri":                       strings.Join([]string{t.account(), "Conferences", m.conference.id, "Participants", m.call.sid}, "/") + ".json",
	}
}
