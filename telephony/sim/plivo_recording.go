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

func (t *plivo) recordingID() string { return newToken() }

// record starts a recording of a call, or stops all of them.
func (t *plivo) record(w http.ResponseWriter, r *http.Request, c *call, params url.Values) *apiError {
	if r.Method == http.MethodDelete {
		return t.stopRecordings(w, c)
	}
	if r.Method != http.MethodPost {
		return plivoNoMethod
	}
	o := recordOrder{
		source: "call", channels: 2, track: "both", format: params.Get("file_format"), origin: originOf(r),
		hookURL: params.Get("callback_url"),
		events:  map[recordingStatus]bool{recordingCompleted: true, recordingAbsent: true},
	}
	switch o.format {
	case "":
		o.format = "mp3"
	case "mp3", "wav":
	default:
		return plivoRefuse("file_format parameter is invalid.")
	}
	switch params.Get("record_channel_type") {
	case "", "stereo":
	case "mono":
		o.channels = 1
	default:
		return plivoRefuse("record_channel_type parameter is invalid.")
	}
	if o.hookURL != "" && !isWebURL(o.hookURL) {
		return plivoRefuse("callback_url parameter is not a valid URL")
	}
	var err error
	if o.method, err = methodOf(params.Get("callback_method")); err != nil {
		return plivoRefuse("callback_method parameter is invalid.")
	}
	if o.limit, err = seconds(params.Get("time_limit"), plivoTapeLimit, time.Second, maxRecordTime); err != nil {
		return plivoRefuse("time_limit parameter is invalid.")
	}
	rec, ok := c.record(o)
	if !ok {
		return plivoNoCall
	}
	writeJSON(w, http.StatusAccepted, t.reply(map[string]any{
		"message": "call recording started", "recording_id": rec.id, "url": t.recordingURL(rec),
	}))
	return nil
}

func (t *plivo) stopRecordings(w http.ResponseWriter, c *call) *apiError {
	if i := c.info(); !i.isLive() {
		return plivoNoCall
	}
	c.stopRecordings()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (t *plivo) account() string { return "/v1/Account/" + t.carrier.config.AccountSID }

func (t *plivo) recordingURL(rec *recording) string {
	return rec.origin + t.account() + "/Recording/" + rec.id + "." + rec.format
}

// recordings serves the recordings of the account: all, if id is empty, or one.
func (t *plivo) recordings(w http.ResponseWriter, r *http.Request, id string) *apiError {
	if id == "" {
		if r.Method != http.MethodGet {
			return plivoNoMethod
		}
		return t.listRecordings(w, r)
	}
	rec := t.carrier.recordings.get(id)
	if rec == nil || !rec.isComplete() {
		return plivoUnknown
	}
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, t.reply(t.recordingObject(rec)))
		return nil
	case http.MethodDelete:
		if !t.carrier.recordings.remove(rec) {
			return plivoUnknown
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return plivoNoMethod
}

func (t *plivo) listRecordings(w http.ResponseWriter, r *http.Request) *apiError {
	call := r.URL.Query().Get("call_uuid")
	found := t.carrier.recordings.list(func(rec *recording) bool {
		return rec.isComplete() && (call == "" || rec.call.sid == call)
	})
	return t.page(w, r, len(found), func(i int) any { return t.recordingObject(found[i]) })
}

// media serves the file of a recording, which needs the credentials, too.
func (t *plivo) media(w http.ResponseWriter, r *http.Request, file string) *apiError {
	kind := path.Ext(file)
	rec := t.carrier.recordings.get(strings.TrimSuffix(file, kind))
	switch {
	case rec == nil || kind != "."+rec.format:
		return plivoUnknown
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return plivoNoMethod
	case kind != ".wav":
		return &apiError{status: http.StatusNotImplemented, message: "files of this kind are not simulated"}
	}
	data, ok := rec.file(rec.channels)
	if !ok {
		return plivoUnknown
	}
	writeMedia(w, r, data)
	return nil
}

// milliseconds writes a time or a length as Plivo's recordings have it.
func milliseconds(ms int64) string { return fmt.Sprintf("%d.00000", ms) }

func (t *plivo) recordingObject(rec *recording) map[string]any {
	v := rec.view()
	return map[string]any{
		"add_time":                         v.changed.UTC().Format("2006-01-02 15:04:05+00:00"),
		"call_uuid":                        rec.call.sid,
		"conference_name":                  nil,
		"from_number":                      rec.call.from,
		"monthly_recording_storage_amount": 0,
		"recording_format":                 rec.format,
		"recording_id":                     rec.id,
		"recording_type":                   rec.source,
		"recording_duration_ms":            milliseconds(v.length.Milliseconds()),
		"recording_start_ms":               milliseconds(rec.created.UnixMilli()),
		"recording_end_ms":                 milliseconds(v.ended.UnixMilli()),
		"recording_storage_duration":       0,
		"recording_storage_rate":           0.0004,
		"recording_url":                    t.recordingURL(rec),
		"resource_uri":                     t.account() + "/Recording/" + rec.id + "/",
		"rounded_recording_duration":       60 * ceil(v.length, time.Minute),
		"to_number":                        plainNumber(rec.call.to),
	}
}

// recorded is what the callback_url of a recording is told.
func (t *plivo) recorded(rec *recording) url.Values {
	v := rec.view()
	return url.Values{
		"api_id":                {newToken()},
		"call_uuid":             {rec.call.sid},
		"recording_id":          {rec.id},
		"record_url":            {t.recordingURL(rec)},
		"recording_duration":    {strconv.Itoa(wholeSeconds(v.length))},
		"recording_duration_ms": {strconv.FormatInt(v.length.Milliseconds(), 10)},
		"recording_start_ms":    {strconv.FormatInt(rec.created.UnixMilli(), 10)},
		"recording_end_ms":      {strconv.FormatInt(v.ended.UnixMilli(), 10)},
	}
}
