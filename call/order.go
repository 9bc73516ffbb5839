package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

// order is what a service is asked to do with a live call. It is carried out by
// the replica that has the call.
type order struct {
	Deed        deed                     `json:"deed"`
	Call        string                   `json:"call"`
	Cause       Cause                    `json:"cause,omitempty"`
	AgentID     string                   `json:"agent_id,omitempty"`
	Agrees      bool                     `json:"agrees,omitempty"`
	Keys        string                   `json:"keys,omitempty"`
	Transfer    *Transfer                `json:"transfer,omitempty"`
	Warm        *WarmTransfer            `json:"warm,omitempty"`
	Record      *telephony.RecordRequest `json:"record,omitempty"`
	RecordingID string                   `json:"recording_id,omitempty"`
}

// result is what came of an order.
type result struct {
	Call        *Call      `json:"call,omitempty"`
	RecordingID string     `json:"recording_id,omitempty"`
	Ticket      *Ticket    `json:"ticket,omitempty"`
	Err         *wireError `json:"err,omitempty"`
}

// deed is the kind of an order.
type deed string

const (
	deedShow            deed = "show"
	deedListen          deed = "listen"
	deedHangup          deed = "hangup"
	deedHold            deed = "hold"
	deedResume          deed = "resume"
	deedHandOver        deed = "hand over"
	deedSendKeys        deed = "send keys"
	deedTransfer        deed = "transfer"
	deedWarmTransfer    deed = "warm transfer"
	deedConsent         deed = "consent"
	deedPauseRecording  deed = "pause recording"
	deedResumeRecording deed = "resume recording"
	deedStartRecording  deed = "start recording"
	deedForgetRecording deed = "forget recording"
)

// order has the replica that has a call do something with it: this one, if nobody
// else has it.
func (s *Service) order(ctx context.Context, o order) (result, error) {
	if s.cluster == nil || s.find(o.Call) != nil {
		return s.carryOut(ctx, o)
	}
	for again := false; ; again = true {
		record, err := s.stored(ctx, o.Call)
		if err != nil {
			return result{}, err
		}
		to, err := s.cluster.holder(ctx, record)
		if err != nil {
			return result{}, err
		}
		if to == nil {
			return s.carryOut(ctx, o)
		}
		r, err := s.cluster.peers.order(ctx, to, o)
		if again || !errors.Is(err, ErrUnreachable) || to.ctx.Err() == nil {
			return r, err
		} // it died meanwhile: its calls can be taken over
	}
}

// carryOut does what is ordered with a call of this replica's.
func (s *Service) carryOut(ctx context.Context, o order) (r result, err error) {
	l := s.find(o.Call)
	if l == nil {
		return s.carryOutLate(ctx, o)
	}
	switch o.Deed {
	case deedShow:
		r.Call = l.view()
		return r, nil
	case deedListen:
		r.Ticket, err = l.inviteListener()
		return r, err
	case deedHangup:
		return r, l.end(ctx, o.Cause)
	case deedTransfer:
		return r, l.transfer(ctx, *o.Transfer)
	case deedStartRecording:
		r.RecordingID, err = s.startCarrierRecording(ctx, l, *o.Record)
		return r, err
	case deedForgetRecording:
		return r, s.forgetRecording(ctx, o.Call, o.RecordingID)
	}
	session, err := l.inSession()
	if err != nil {
		return r, err
	}
	switch o.Deed {
	case deedHold:
		return r, session.hold(nil)
	case deedResume:
		return r, session.resume()
	case deedConsent:
		return r, session.consented(o.Agrees)
	case deedPauseRecording:
		return r, session.pauseRecording(ctx)
	case deedResumeRecording:
		return r, session.resumeRecording(ctx)
	case deedHandOver:
		return r, l.handOver(o.AgentID)
	case deedSendKeys:
		return r, session.sendKeys(ctx, o.Keys)
	case deedWarmTransfer:
		return r, l.warmTransfer(ctx, *o.Warm)
	}
	return r, errors.ErrUnsupported // by this version
}

// carryOutLate is carryOut for a call that is over.
func (s *Service) carryOutLate(ctx context.Context, o order) (r result, err error) {
	switch o.Deed {
	case deedShow, deedHangup:
		r.Call, err = s.stored(ctx, o.Call)
		return r, err
	case deedListen:
		if _, err := s.stored(ctx, o.Call); err != nil {
			return r, err
		}
	case deedForgetRecording:
		return r, s.forgetRecording(ctx, o.Call, o.RecordingID)
	}
	return r, ErrEnded
}

const (
	// replicaPath is where replicas take orders, below their address.
	replicaPath = "replica"
	maxOrder    = 256 << 10 // bytes
	maxResult   = 16 << 20  // bytes: a record with a long transcript
)

// order sends an order to another replica, and waits until it has been carried
// out. The error wraps ErrUnreachable if nobody knows whether it has.
func (p *peers) order(ctx context.Context, to *peer, o order) (r result, err error) {
	if o.Warm != nil && o.Warm.Brief != nil {
		return r, fmt.Errorf("brief at another replica: %w", errors.ErrUnsupported)
	}
	body, err := json.Marshal(o)
	if err != nil {
		return r, err
	}
	reply, err := p.request(ctx, to, body)
	if err == nil {
		err = json.NewDecoder(io.LimitReader(reply, maxResult)).Decode(&r)
		_ = reply.Close() // what was needed has been read
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return r, context.Cause(ctx)
	case err != nil:
		return r, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return r, r.Err.error()
}

// serveOrder takes an order of another replica.
func (s *Service) serveOrder(w http.ResponseWriter, r *http.Request, word string) {
	if s.cluster == nil || word != wordOf(s.cluster.name) {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	if err != nil {
		http.Error(w, "request too large or cut short", http.StatusRequestEntityTooLarge)
		return
	}
	var o order
	if !s.cluster.peers.signer.verify(r, "/"+replicaPath+"/"+word, body, time.Now()) {
		s.counts.unverified.Add(1)
		http.Error(w, "not signed by a replica", http.StatusForbidden)
		return
	}
	if err := json.Unmarshal(body, &o); err != nil {
		http.Error(w, "not understood", http.StatusBadRequest)
		return
	}
	// Whoever asks learns at once that we live. What is asked for may take as long
	// as a telephone rings.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // not every ResponseWriter has one
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = control.Flush()
	var res result
	err = contain(func() (err error) { res, err = s.carryOut(r.Context(), o); return err })
	res.Err = wire(err)
	if err := json.NewEncoder(w).Encode(res); err != nil {
		s.log.Warn("another replica has not been told what came of its order", "call", o.Call, "err", err)
	}
}

// wireError is an error on its way from one replica to another: its text, which of
// the errors that can be told apart it is, and those that are values.
type wireError struct {
	Text     string         `json:"text"`
	Kinds    []int          `json:"kinds,omitempty"` // places in wireErrors
	Transfer *State         `json:"transfer,omitempty"`
	Carrier  *wireTelephony `json:"carrier,omitempty"`
}

// wireTelephony is a telephony.Error.
type wireTelephony struct {
	Provider   string            `json:"provider"`
	Op         string            `json:"op"`
	Outcome    telephony.Outcome `json:"outcome"`
	Reason     int               `json:"reason"` // a place in wireErrors
	HTTPStatus int               `json:"http_status,omitempty"`
	Code       string            `json:"code,omitempty"`
	Message    string            `json:"message,omitempty"`
	RetryAfter time.Duration     `json:"retry_after,omitempty"`
}

// wireErrors are the errors that can be told apart. Others are added at the end,
// since replicas of two versions talk to each other.
var wireErrors = []error{
	ErrUnknownAgent, ErrUnknownProvider, ErrNotAllowed, ErrOverloaded, ErrShutdown, ErrIdempotency,
	ErrInvalidRequest, ErrEnded, ErrLive, ErrNoLease, ErrUnreachable, ErrNotFound, ErrConflict,
	ErrDeclined, ErrHandedOver, errors.ErrUnsupported, context.Canceled, context.DeadlineExceeded,
	stream.ErrKeys, telephony.ErrInvalidNumber, telephony.ErrAuth, telephony.ErrInvalidFrom,
	telephony.ErrNotAllowed, telephony.ErrThrottled, telephony.ErrCallGone, telephony.ErrCallState,
	telephony.ErrUnavailable, telephony.ErrBadReply, telephony.ErrRefused, ErrStore,
}

func wire(err error) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: telephony.Mask(err.Error())}
	var carrier *telephony.Error
	if errors.As(err, &carrier) {
		w.Carrier = &wireTelephony{
			Provider: carrier.Provider, Op: carrier.Op, Outcome: carrier.Outcome, Reason: -1,
			HTTPStatus: carrier.HTTPStatus, Code: carrier.Code, Message: carrier.Message, RetryAfter: carrier.RetryAfter,
		}
	}
	for i, known := range wireErrors {
		if errors.Is(err, known) {
			w.Kinds = append(w.Kinds, i)
		}
		if carrier != nil && carrier.Reason == known {
			w.Carrier.Reason = i
		}
	}
	var failed *TransferError
	if errors.As(err, &failed) {
		w.Transfer = &failed.State
		if failed.Err != nil {
			w.Text = telephony.Mask(failed.Err.Error())
		} else {
			w.Text = ""
		}
	}
	return w
}

func (w *wireError) error() error {
	if w == nil {
		return nil
	}
	e := &remoteError{text: w.Text}
	for _, i := range w.Kinds {
		if i >= 0 && i < len(wireErrors) {
			e.is = append(e.is, wireErrors[i])
		}
	}
	if c := w.Carrier; c != nil {
		carrier := &telephony.Error{
			Provider: c.Provider, Op: c.Op, Outcome: c.Outcome, Reason: telephony.ErrRefused,
			HTTPStatus: c.HTTPStatus, Code: c.Code, Message: c.Message, RetryAfter: c.RetryAfter,
		}
		if c.Reason >= 0 && c.Reason < len(wireErrors) {
			carrier.Reason = wireErrors[c.Reason]
		}
		e.is = append(e.is, carrier)
	}
	if w.Transfer == nil {
		return e
	}
	failed := &TransferError{State: *w.Transfer}
	if w.Text != "" {
		failed.Err = e
	}
	return failed
}

// remoteError is an error that another replica has met.
type remoteError struct {
	text string
	is   []error
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.is }
