package plivo

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// callReply is a call as the REST API shows it: queued, live, or as the detail
// record that is left of it. Each view has names of its own.
type callReply struct {
	CallUUID    string `json:"call_uuid"`
	RequestUUID string `json:"request_uuid"` // queued and live

	Status       string `json:"call_status"` // queued and live
	Direction    string `json:"direction"`
	From         string `json:"from"`
	To           string `json:"to"`
	SessionStart string `json:"session_start"` // live

	CallState      string      `json:"call_state"` // record
	CallDirection  string      `json:"call_direction"`
	FromNumber     string      `json:"from_number"`
	ToNumber       string      `json:"to_number"`
	InitiationTime string      `json:"initiation_time"`
	AnswerTime     string      `json:"answer_time"`
	EndTime        string      `json:"end_time"`
	CallDuration   json.Number `json:"call_duration"`
	CauseCode      json.Number `json:"hangup_cause_code"`
	CauseName      string      `json:"hangup_cause_name"`
}

// is reports whether the call has this id, or came of the dial that has.
func (c *callReply) is(id string) bool { return c.CallUUID == id || c.RequestUUID == id }

func (c *callReply) from() telephony.Number { return number(cmp.Or(c.From, c.FromNumber)) }
func (c *callReply) to() telephony.Number   { return number(cmp.Or(c.To, c.ToNumber)) }
func (c *callReply) direction() telephony.Direction {
	return directionOf(cmp.Or(c.Direction, c.CallDirection))
}
func (c *callReply) created() time.Time { return parseTime(cmp.Or(c.InitiationTime, c.SessionStart)) }

// Status asks Plivo how a call stands. The id may be that of the call or that of
// its dial. Plivo shows live calls, ended ones and queued ones apart, so it can
// take three requests or, for a dial whose call is not known, some more. For a
// few seconds after its end a call may be in none of these places. For a call
// that Plivo does not know the error wraps ErrCallGone.
func (p *Provider) Status(ctx context.Context, providerCallID string) (telephony.Event, error) {
	if err := p.checkID("status", providerCallID); err != nil {
		return telephony.Event{}, err
	}
	known, pending := p.dials.get(providerCallID)
	id := cmp.Or(known.call, providerCallID)
	var last error
	for _, view := range []string{"live", "", "queued"} {
		var c callReply
		x, err := p.send(ctx, "status", http.MethodGet, "Call/"+id, viewOf(view), &c)
		if isGone(err) {
			last = err
			continue
		}
		if err != nil {
			return telephony.Event{}, err
		}
		if !c.is(id) {
			return telephony.Event{}, x.badReply("not the call that was asked for")
		}
		return p.eventOf(&c, view), nil
	}
	if !pending {
		return telephony.Event{}, last
	}
	calls, err := p.calls(ctx, "status", "live", known.to)
	if err != nil {
		return telephony.Event{}, err
	}
	for _, c := range calls {
		if c.is(providerCallID) {
			return p.eventOf(&c, "live"), nil
		}
	}
	return telephony.Event{}, last
}

type query struct {
	Status string `url:"status,omitempty"`
	To     string `url:"to_number,omitempty"`
	Since  string `url:"end_time__gte,omitempty"`
	Limit  int    `url:"limit,omitempty"`
	Offset int    `url:"offset,omitempty"`
}

func viewOf(status string) query { return query{Status: status} }

const (
	findMost     = 100 // calls that are looked at in one place
	findPageSize = 20  // the most that Plivo gives at once
	findMaxPages = 20
)

// calls returns the calls that are queued or live. If they are too many to look
// at, only those to one number are asked for.
func (p *Provider) calls(ctx context.Context, op, status string, to telephony.Number) ([]callReply, error) {
	var list struct {
		Calls []string `json:"calls"`
	}
	x, err := p.send(ctx, op, http.MethodGet, "Call", viewOf(status), &list)
	if err == nil && len(list.Calls) > findMost {
		narrow := query{Status: status, To: strings.TrimPrefix(string(to), "+")}
		list.Calls = nil
		x, err = p.send(ctx, op, http.MethodGet, "Call", narrow, &list)
	}
	if err != nil {
		return nil, err
	}
	if len(list.Calls) > findMost {
		return nil, x.badReply("too many calls")
	}
	var calls []callReply
	for _, id := range list.Calls {
		if !isUUID(id) {
			return nil, x.badReply("no id of a call")
		}
		var c callReply
		_, err := p.send(ctx, op, http.MethodGet, "Call/"+id, viewOf(status), &c)
		if isGone(err) {
			continue // it has moved on
		}
		if err != nil {
			return nil, err
		}
		c.CallUUID = cmp.Or(c.CallUUID, id)
		calls = append(calls, c)
	}
	return calls, nil
}

// Find looks for calls that we placed from req.From to req.To, among those that
// are queued, live and over, in this order: a call moves on only this way. A
// call that has ended seconds ago may be missing; look again. A queued call has
// no time, and is found whenever it was placed. With more than 100 calls queued
// or live to the same number, or 400 ended since, the answer is an error.
func (p *Provider) Find(ctx context.Context, req *telephony.DialRequest, since time.Time) ([]telephony.Event, error) {
	since = since.Truncate(time.Second) // detail records have no more
	var found []foundCall
	seen := make(map[string]bool)
	add := func(c *callReply, view string) {
		created := c.created()
		if seen[c.CallUUID] || c.direction() != telephony.Outbound || c.from() != req.From || c.to() != req.To ||
			!created.IsZero() && created.Before(since) {
			return
		}
		seen[c.CallUUID] = true
		found = append(found, foundCall{created, p.eventOf(c, view)})
	}
	for _, view := range []string{"queued", "live"} {
		calls, err := p.calls(ctx, "find", view, req.To)
		if err != nil {
			return nil, err
		}
		for i := range calls {
			add(&calls[i], view)
		}
	}
	records, err := p.records(ctx, since)
	if err != nil {
		return nil, err
	}
	for i := range records {
		add(&records[i], "")
	}
	return newestFirst(found), nil
}

// records returns the detail records of the calls that ended since. They are not
// filtered by number, because Plivo does not say in which of the forms it writes
// numbers it compares them.
func (p *Provider) records(ctx context.Context, since time.Time) ([]callReply, error) {
	var all []callReply
	q := query{Since: since.UTC().Format("2006-01-02 15:04:05"), Limit: findPageSize}
	var x *exchange
	for range findMaxPages {
		var page struct {
			Meta struct {
				Next *string `json:"next"`
			} `json:"meta"`
			Objects []callReply `json:"objects"`
		}
		var err error
		if x, err = p.send(ctx, "find", http.MethodGet, "Call", q, &page); err != nil {
			return nil, err
		}
		for _, c := range page.Objects {
			if !isUUID(c.CallUUID) {
				return nil, x.badReply("no id of a call")
			}
		}
		all = append(all, page.Objects...)
		if page.Meta.Next == nil || len(page.Objects) == 0 {
			return all, nil
		}
		q.Offset += len(page.Objects)
	}
	return nil, x.badReply("too many calls")
}

type foundCall struct {
	created time.Time // zero if Plivo does not say
	event   telephony.Event
}

// newestFirst puts calls without a time first: they have not begun.
func newestFirst(calls []foundCall) []telephony.Event {
	slices.SortStableFunc(calls, func(a, b foundCall) int {
		if a.created.IsZero() != b.created.IsZero() {
			if a.created.IsZero() {
				return -1
			}
			return 1
		}
		return b.created.Compare(a.created)
	})
	events := make([]telephony.Event, len(calls))
	for i, c := range calls {
		events[i] = c.event
	}
	return events
}

// eventOf reads a call of the REST API, and remembers which dial it came of.
func (p *Provider) eventOf(c *callReply, view string) telephony.Event {
	e := telephony.Event{
		ProviderCallID: cmp.Or(c.CallUUID, c.RequestUUID),
		RequestID:      c.RequestUUID,
		Direction:      c.direction(),
		From:           c.from(),
		To:             c.to(),
		Status:         statuses[c.Status],
		Sequence:       -1,
		At:             parseTime(cmp.Or(c.EndTime, c.SessionStart)),
	}
	switch view {
	case "queued":
		e.Status = telephony.StatusQueued
	case "live":
		p.dials.learn(c.RequestUUID, c.CallUUID)
	default:
		seconds, _ := strconv.Atoi(c.CallDuration.String())
		e.Duration = time.Duration(max(seconds, 0)) * time.Second
		e.Status = c.endStatus()
		e.Cause = cmp.Or(c.CauseName, c.CauseCode.String())
		if c.CauseCode == machineCode {
			e.AnsweredBy = telephony.AnsweredByMachine
		}
	}
	e.ID = digest("call", e.ProviderCallID, e.Status.String(), c.EndTime, c.CallDuration.String())
	return e
}

// machineCode is the hangup code of a call that was ended for a machine.
const machineCode = "9100"

// endStatus is what became of a call, by its detail record and Plivo's list of
// hangup causes. An answer weighs more than the way it ended.
func (c *callReply) endStatus() telephony.Status {
	if c.AnswerTime != "" || strings.EqualFold(c.CallState, "answer") {
		return telephony.StatusCompleted
	}
	if rangOut[c.CauseCode.String()] {
		return telephony.StatusNoAnswer
	}
	switch c.CauseCode {
	case "3010":
		return telephony.StatusBusy
	case "1000", "1010", "1020":
		return telephony.StatusCanceled
	}
	return telephony.StatusFailed
}
