package sqlstore

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

var errCreatedAt = errors.New("CreatedAt is not between the years 1678 and 2262")

// encodeCall returns c as JSON with its times in UTC. It refuses what decodeCall
// would not read back, because such a record could never be got rid of.
func encodeCall(c *call.Call) (string, error) {
	if c.CreatedAt.Before(sqldb.Earliest) || c.CreatedAt.After(sqldb.Latest) {
		return "", errCreatedAt
	}
	if _, err := call.ParseState(c.State.String()); err != nil {
		return "", err
	}
	utc := *c
	utc.CreatedAt, utc.AnsweredAt, utc.EndedAt, utc.ErasedAt = c.CreatedAt.UTC(), c.AnsweredAt.UTC(), c.EndedAt.UTC(), c.ErasedAt.UTC()
	if c.Recording != nil {
		r := *c.Recording
		r.CreatedAt = r.CreatedAt.UTC()
		utc.Recording = &r
	}
	b, err := json.Marshal(&utc)
	return string(b), err
}

func decodeCall(record []byte) (*call.Call, error) {
	c := new(call.Call)
	if err := json.Unmarshal(record, c); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return c, nil
}

// encodeEvent returns e as JSON with its time in UTC.
func encodeEvent(e call.Event) (string, error) {
	if _, err := call.ParseState(e.State.String()); err != nil {
		return "", err
	}
	e.At = e.At.UTC()
	b, err := json.Marshal(&e)
	return string(b), err
}

func decodeEvent(event []byte) (call.Event, error) {
	var e call.Event
	if err := json.Unmarshal(event, &e); err != nil {
		return e, fmt.Errorf("event: %w", err)
	}
	return e, nil
}
