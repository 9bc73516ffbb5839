package sim

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// Errors of the resources of recordings.
const (
	errChannels = 16113 // two of a recording that has one
	noRecording = 16001 // there was nothing to record
)

func (t *twilio) recordingID() string { return newSID("RE") }

// account is the path of the account's resources.
func (t *twilio) account() string {
	return "/" + apiVersion + "/Accounts/" + t.carrier.config.AccountSID
}

// readRecordOrder reads how to record a call.
func readRecordOrder(r *http.Request, source string) (recordOrder, *apiError) {
	form := r.PostForm
	o := recordOrder{
		source: source, channels: 1, track: "both", format: "wav", origin: originOf(r),
		hookURL: form.Get("RecordingStatusCallback"),
		events:  map[recordingStatus]bool{},
	}
	switch s := form.Get("RecordingTrack"); s {
	case "", "both":
	case "inbound", "outbound":
		o.track = s
	default:
		return o, refuse(errParam, "RecordingTrack is not valid")
	}
	switch s := form.Get("RecordingChannels"); s {
	case "", "mono":
	case "dual":
		if o.track == "both" { // one side alone is always mono
			o.channels = 2
		}
	default:
		return o, refuse(errParam, "RecordingChannels is not valid")
	}
	for _, name := range strings.Fields(strings.Join(form["RecordingStatusCallbackEvent"], " ")) {
		o.events[recordingStatus(name)] = true
	}
	if len(o.events) == 0 {
		o.events[recordingCompleted] = true
	}
	if o.hookURL != "" && !isWebURL(o.hookURL) {
		return o, refuse(errParam, "RecordingStatusCallback is not a valid URL")
	}
	var err error
	if o.method, err = methodOf(form.Get("RecordingStatusCallbackMethod")); err != nil {
		return o, refuse(errParam, "RecordingStatusCallbackMethod is not valid")
	}
	return o, nil
}

// callRecordings serves the recordings of a call: all, if id is empty, or one.
func (t *twilio) callRecordings(w http.ResponseWriter, r *http.Request, c *call, id []string, unknown *apiError) *apiError {
	if len(id) == 0 {
		switch r.Method {
		case http.MethodPost:
			return t.startRecording(w, r, c)
		case http.MethodGet:
			return t.listRecordings(w, r, func(rec *recording) bool { return rec.call == c })
		}
		return notAllowed
	}
	if r.Method == http.MethodPost {
		return t.updateRecording(w, r, c, id[0], unknown)
	}
	rec := t.carrier.recordings.get(id[0])
	if rec == nil || rec.call != c {
		return unknown
	}
	return t.recording(w, r, rec, true)
}

func (t *twilio) startRecording(w http.ResponseWriter, r *http.Request, c *call) *apiError {
	o, problem := readRecordOrder(r, "StartCallRecordingAPI")
	if problem != nil {
		return problem
	}
	rec, ok := c.record(o)
	if !ok {
		return refuse(errState, "Call is not in-progress. Cannot record.")
	}
	writeJSON(w, http.StatusCreated, t.recordingResource(rec, true))
	return nil
}

// updateRecording pauses, resumes or stops a recording. The id Twilio.CURRENT is
// that of the one that is not over.
func (t *twilio) updateRecording(w http.ResponseWriter, r *http.Request, c *call, id string, unknown *apiError) *apiError {
	rec := t.carrier.recordings.get(id)
	if id == "Twilio.CURRENT" {
		live := t.carrier.recordings.list(func(rec *recording) bool {
			s := rec.view().status
			return rec.call == c && (s == recordingRuns || s == recordingPaused)
		})
		if len(live) > 1 {
			return refuse(errParam, "More than one recording is in progress")
		}
		if len(live) == 1 {
			rec = live[0]
		}
	}
	if rec == nil || rec.call != c {
		return unknown
	}
	var ok bool
	switch status, behavior := r.PostForm.Get("Status"), r.PostForm.Get("PauseBehavior"); {
	case behavior != "" && behavior != "skip" && behavior != "silence":
		return refuse(errParam, "PauseBehavior is not valid")
	case status == "paused":
		ok = rec.pause(behavior == "skip")
	case status == "in-progress":
		ok = rec.resume()
	case status == "stopped":
		ok = rec.stop()
	default:
		return refuse(errParam, "Status %.20q is not valid", status)
	}
	if !ok {
		return refuse(errState, "Recording is not in-progress. Cannot update it.")
	}
	writeJSON(w, http.StatusOK, t.recordingResource(rec, true))
	return nil
}

// recordings serves the recordings of the account. File is empty for all, and
// otherwise a slash and the name of a resource or of a file.
func (t *twilio) recordings(w http.ResponseWriter, r *http.Request, file string, unknown *apiError) *apiError {
	if file == ".json" {
		if r.Method != http.MethodGet {
			return notAllowed
		}
		call := r.Form.Get("CallSid")
		return t.listRecordings(w, r, func(rec *recording) bool { return call == "" || rec.call.sid == call })
	}
	kind := path.Ext(file)
	rec := t.carrier.recordings.get(strings.TrimSuffix(strings.TrimPrefix(file, "/"), kind))
	if rec == nil {
		return unknown
	}
	switch kind {
	case ".json":
		return t.recording(w, r, rec, false)
	case ".wav", "":
		return t.recordingFile(w, r, rec, unknown)
	case ".mp3":
		return &apiError{http.StatusNotImplemented, errParam, "Files of this kind are not simulated"}
	}
	return unknown
}

func (t *twilio) recordingFile(w http.ResponseWriter, r *http.Request, rec *recording, unknown *apiError) *apiError {
	channels := rec.channels
	switch s := r.Form.Get("RequestedChannels"); {
	case s == "1":
		channels = 1
	case s == "2" && rec.channels == 1:
		return refuse(errChannels, "Recording has one channel")
	case s != "" && s != "2":
		return refuse(errParam, "RequestedChannels is not valid")
	}
	file, ok := rec.file(channels)
	if !ok {
		return unknown
	}
	writeMedia(w, r, file)
	return nil
}

// recording serves one recording, as of its call or as of the account.
func (t *twilio) recording(w http.ResponseWriter, r *http.Request, rec *recording, ofCall bool) *apiError {
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, t.recordingResource(rec, ofCall))
		return nil
	case http.MethodDelete:
		if !t.carrier.recordings.remove(rec) {
			return refuse(errState, "Recording is still in progress.")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return notAllowed
}

// listRecordings lists the recordings that fit, newest first, all on one page.
func (t *twilio) listRecordings(w http.ResponseWriter, r *http.Request, fits func(*recording) bool) *apiError {
	list := []any{}
	for _, rec := range t.carrier.recordings.list(fits) {
		if len(list) < maxPage {
			list = append(list, t.recordingResource(rec, strings.Contains(r.URL.Path, "/Calls/")))
		}
	}
	writeJSON(w, http.StatusOK, wholePage(r, "recordings", list))
	return nil
}

// recordingResource is the JSON of a recording. That of its call and that of the
// account differ.
func (t *twilio) recordingResource(rec *recording, ofCall bool) map[string]any {
	v := rec.view()
	status, duration := string(v.status), any(nil)
	if v.status == recordingCompleted {
		duration = strconv.Itoa(wholeSeconds(v.length))
	}
	m := map[string]any{
		"account_sid":        t.carrier.config.AccountSID,
		"api_version":        apiVersion,
		"call_sid":           rec.call.sid,
		"channels":           rec.channels,
		"conference_sid":     nil,
		"date_created":       mailTime(rec.created),
		"date_updated":       mailTime(v.changed),
		"duration":           duration,
		"encryption_details": nil,
		"error_code":         nil,
		"price":              nil,
		"price_unit":         nil,
		"sid":                rec.id,
		"source":             rec.source,
		"start_time":         mailTime(rec.created),
		"status":             status,
		"track":              rec.track,
		"uri":                t.account() + "/Calls/" + rec.call.sid + "/Recordings/" + rec.id + ".json",
	}
	if v.status == recordingAbsent {
		m["error_code"] = noRecording
	}
	if !ofCall {
		uri := t.account() + "/Recordings/" + rec.id
		m["uri"], m["media_url"] = uri+".json", rec.origin+uri
		m["subresource_uris"] = map[string]string{
			"transcriptions": uri + "/Transcriptions.json",
			"add_on_results": uri + "/AddOnResults.json",
		}
	}
	return m
}

// wholeSeconds is the number of seconds nearest to d.
func wholeSeconds(d time.Duration) int { return int((d + time.Second/2) / time.Second) }

// recorded is what the status callback of a recording is told.
func (t *twilio) recorded(rec *recording) url.Values {
	v := rec.view()
	p := url.Values{
		"AccountSid":        {t.carrier.config.AccountSID},
		"CallSid":           {rec.call.sid},
		"RecordingSid":      {rec.id},
		"RecordingUrl":      {t.recordingURL(rec)},
		"RecordingStatus":   {string(v.status)},
		"RecordingChannels": {strconv.Itoa(rec.channels)},
		"RecordingSource":   {rec.source},
		"RecordingTrack":    {rec.track},
		"ErrorCode":         {"0"},
	}
	switch v.status {
	case recordingAbsent:
		p.Set("RecordingDuration", "-1")
		p.Set("ErrorCode", fmt.Sprint(noRecording))
		return p
	case recordingCompleted:
		p.Set("RecordingDuration", strconv.Itoa(wholeSeconds(v.length)))
	}
	p.Set("RecordingStartTime", mailTime(rec.created))
	return p
}

func (t *twilio) recordingURL(rec *recording) string {
	return rec.origin + t.account() + "/Recordings/" + rec.id
}
