package call

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Of all headers only that of the signer counts, for what it was made for, in its
// time, and once.
func FuzzSignature(f *testing.F) {
	const (
		path = "/replica/word"
		text = `{"deed":"hangup","call":"call_1"}`
	)
	now := time.UnixMilli(1_800_000_000_000)
	key := []byte("a secret of the replicas")
	made := func(ms int64, method, path, body string) string {
		at := strconv.FormatInt(ms, 10)
		return at + " nonce " + (&signer{key: key}).mac(method, path, at, "nonce", []byte(body))
	}
	good := made(now.UnixMilli(), http.MethodPost, path, text)
	for _, header := range []string{
		good, good + " ", " " + good, strings.ToUpper(good), good[:len(good)-1], "", "  ", "1 nonce 2",
		made(now.Add(time.Hour).UnixMilli(), http.MethodPost, path, text),
		made(-1<<63, http.MethodPost, path, text),
		made(now.UnixMilli(), http.MethodGet, path, text),
		made(now.UnixMilli(), http.MethodPost, path+"x", text),
		made(now.UnixMilli(), http.MethodPost, path, text+" "),
	} {
		f.Add(header, []byte(text))
	}
	f.Add(good, []byte(text+" "))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		s := &signer{key: key}
		r := httptest.NewRequest(http.MethodPost, path, nil)
		r.Header[signatureHeader] = []string{header}
		want := header == good && string(body) == text
		if got := s.verify(r, path, body, now); got != want {
			t.Errorf("verified: %t, want %t", got, want)
		}
		if s.verify(r, path, body, now) {
			t.Error("verified a second time")
		}
	})
}

// An order that is understood is the same one when it is passed on.
func FuzzOrder(f *testing.F) {
	for _, o := range []order{
		{Deed: deedHangup, Call: "call_1", Cause: HangupLocal},
		{Deed: deedTransfer, Call: "call_1", Transfer: &Transfer{}},
		{Deed: deedWarmTransfer, Call: "call_1", Warm: &WarmTransfer{}},
		{Deed: deedStartRecording, Call: "call_1", Record: &telephony.RecordRequest{}},
		{Deed: deedSendKeys, Call: "call_1", Keys: "12#"},
	} {
		b, err := json.Marshal(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"deed":7}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again order
		if json.Unmarshal(b, &o) != nil {
			return
		}
		out, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if third, err := json.Marshal(again); err != nil || string(third) != string(out) {
			t.Errorf("%s, then %s, %v", out, third, err)
		}
	})
}

// An error that another replica has met is told, and told apart, as it would be
// there.
func TestErrorsOfAnotherReplica(t *testing.T) {
	refused := &telephony.Error{
		Provider: "sim", Op: "dial", Outcome: telephony.Rejected, Reason: telephony.ErrInvalidFrom,
		HTTPStatus: 400, Code: "21212", Message: "invalid", RetryAfter: time.Second,
	}
	for _, err := range []error{
		ErrEnded, fmt.Errorf("hold: %w", ErrStore), errors.New("no more than a text"), refused,
		&TransferError{State: NoAnswer}, &TransferError{State: Failed, Err: refused}, &TransferError{State: Busy, Err: ErrDeclined},
	} {
		b, failed := json.Marshal(wire(err))
		var w wireError
		if failed = errors.Join(failed, json.Unmarshal(b, &w)); failed != nil {
			t.Fatal(failed)
		}
		got := w.error()
		if got.Error() != err.Error() {
			t.Errorf("%v came as %v", err, got)
		}
		for _, known := range wireErrors {
			if errors.Is(got, known) != errors.Is(err, known) {
				t.Errorf("%v: %v is %t there and %t here", err, known, errors.Is(err, known), errors.Is(got, known))
			}
		}
		there, _ := errors.AsType[*telephony.Error](err)
		here, _ := errors.AsType[*telephony.Error](got)
		if !reflect.DeepEqual(there, here) {
			t.Errorf("%+v came as %+v", there, here)
		}
		sent, _ := errors.AsType[*TransferError](err)
		come, _ := errors.AsType[*TransferError](got)
		if (sent == nil) != (come == nil) || sent != nil && (sent.State != come.State || (sent.Err == nil) != (come.Err == nil)) {
			t.Errorf("%+v came as %+v", sent, come)
		}
	}
}

// Whatever another replica answers is an error that can be told apart, or none; and
// means the same when it is passed on.
func FuzzResult(f *testing.F) {
	for _, err := range []error{
		ErrEnded, ErrNoLease, ErrStore, &TransferError{State: Ending, Err: ErrNotAllowed}, &TransferError{},
		&telephony.Error{Provider: "sim", Op: "hangup", Outcome: telephony.Throttled, Reason: telephony.ErrThrottled, RetryAfter: time.Second},
		errors.New("no more than a text"), nil,
	} {
		b, failed := json.Marshal(result{Err: wire(err)})
		if failed != nil {
			f.Fatal(failed)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"err":{"kinds":[-1,99,0],"carrier":{"reason":1000000}}}`))
	f.Add([]byte(`{"err":{"transfer":"ending"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r result
		if json.Unmarshal(b, &r) != nil {
			return
		}
		err := r.Err.error()
		if (err == nil) != (r.Err == nil) {
			t.Fatalf("%s is %v", b, err)
		}
		again := wire(err).error()
		for _, known := range wireErrors {
			if errors.Is(err, known) != errors.Is(again, known) {
				t.Errorf("%v: it is so %t, then %t", known, errors.Is(err, known), errors.Is(again, known))
			}
		}
		if a, b := telephony.OutcomeOf(err), telephony.OutcomeOf(again); a != b {
			t.Errorf("%v, then %v", a, b)
		}
	})
}
