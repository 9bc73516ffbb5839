package jsontest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/switchboard-voice/switchboard/internal/jsonscan"
	"github.com/switchboard-voice/switchboard/stream"
)

// Object is what stands in a JSON object under each name.
type Object map[string][]json.RawMessage

// Members reads an object, as plainly as can be said.
func Members(data []byte) (Object, error) {
	if !json.Valid(data) || depth(data) > jsonscan.MaxDepth+1 {
		return nil, errors.New("not valid")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, _ := d.Token(); open != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	all := Object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		all[name.(string)] = append(all[name.(string)], value)
	}
	return all, nil
}

func depth(data []byte) int {
	d := json.NewDecoder(bytes.NewReader(data))
	depth, deepest := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// Text is a string that stands there once, or not at all if it is optional.
func (o Object) Text(name string, optional bool) (s string, err error) {
	switch len(o[name]) {
	case 0:
		if !optional {
			err = errors.New("missing")
		}
	case 1:
		if o[name][0][0] != '"' {
			return "", errors.New("not a string")
		}
		err = json.Unmarshal(o[name][0], &s)
	default:
		err = errors.New("repeated")
	}
	return s, err
}

// Count is a number that is not negative, as a string or a number; -1 if it is
// not there.
func (o Object) Count(name string) (int64, error) {
	switch len(o[name]) {
	case 0:
		return -1, nil
	case 1:
		raw := string(o[name][0])
		if raw[0] == '"' {
			if err := json.Unmarshal(o[name][0], &raw); err != nil {
				return 0, err
			}
		}
		if strings.Trim(raw, "0123456789") != "" || len(raw) > 18 {
			return 0, errors.New("not a count")
		}
		return strconv.ParseInt(raw, 10, 64)
	}
	return 0, errors.New("repeated")
}

var errBad = errors.New("bad")

// Media says what jsonscan.Media should.
func Media(m *stream.Message, o Object) error {
	payload, err := o.Text("payload", false)
	if err != nil {
		return err
	}
	track, err := o.Text("track", true)
	if err != nil || len(o["track"]) > 0 && track != "inbound" && track != "outbound" {
		return errBad
	}
	if _, err = o.Count("chunk"); err != nil {
		return err
	}
	if at, err := o.Count("timestamp"); err != nil || at > jsonscan.MaxMillis {
		return errBad
	}
	m.Payload, err = base64.StdEncoding.DecodeString(payload)
	if err != nil || len(m.Payload) == 0 || base64.StdEncoding.EncodeToString(m.Payload) != payload {
		return errBad
	}
	m.Kind = stream.KindMedia
	return nil
}

// Key says what jsonscan.Key should.
func Key(m *stream.Message, o Object) error {
	if len(o["digit"]) != 1 {
		return errBad
	}
	var digit string
	if json.Unmarshal(o["digit"][0], &digit) != nil {
		digit = string(o["digit"][0])
	}
	if len(digit) != 1 || strings.Trim(digit, "0123456789*#ABCD") != "" {
		return errBad
	}
	m.Kind, m.Digit = stream.KindKey, digit[0]
	return nil
}

// Mark says what jsonscan.Mark should.
func Mark(m *stream.Message, name string) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil && strconv.FormatUint(n, 10) == name {
		m.Kind, m.Mark = stream.KindMark, uint32(n)
	}
}
