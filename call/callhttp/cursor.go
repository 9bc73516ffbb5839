package callhttp

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

var errCursor = errors.New("not a cursor that was given out")

// encodeCursor writes a place in a list so that it can stand in a URL.
func encodeCursor(p call.Position) string {
	plain := strconv.FormatInt(p.CreatedAt.UnixNano(), 10) + " " + p.ID
	return base64.RawURLEncoding.EncodeToString([]byte(plain))
}

// decodeCursor reads what encodeCursor wrote.
func decodeCursor(s string) (call.Position, error) {
	plain, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return call.Position{}, errCursor
	}
	at, id, found := strings.Cut(string(plain), " ")
	nanos, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !found || id == "" {
		return call.Position{}, errCursor
	}
	return call.Position{CreatedAt: time.Unix(0, nanos).UTC(), ID: id}, nil
}
