package call

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	signatureHeader = "Switchboard-Signature"
	// clockSkew is how far the clocks of two replicas may be apart.
	clockSkew = time.Minute
	// maxNonces is how many requests between replicas are remembered, for as long
	// as they could be sent again; one more is refused.
	maxNonces = 1 << 17
)

// signer signs what replicas tell each other, and knows what another one has
// signed: HMAC-SHA256 (RFC 2104) over method, path, time, nonce and body. The path
// names whom it is for. Each request counts once.
type signer struct {
	key []byte

	mu   sync.Mutex
	seen map[string]time.Time // nonces, and when they are too old
	tidy time.Time            // when the old ones go next
}

func (s *signer) sign(r *http.Request, path string, body []byte, now time.Time) {
	at, nonce := strconv.FormatInt(now.UnixMilli(), 10), newID()
	r.Header.Set(signatureHeader, at+" "+nonce+" "+s.mac(r.Method, path, at, nonce, body))
}

func (s *signer) mac(method, path, at, nonce string, body []byte) string {
	h := hmac.New(sha256.New, s.key)
	sum := sha256.Sum256(body)
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%x", method, path, at, nonce, sum)
	return hex.EncodeToString(h.Sum(nil))
}

// verify reports whether a request was signed by another replica, just now and for
// the first time.
func (s *signer) verify(r *http.Request, path string, body []byte, now time.Time) bool {
	part := strings.Split(r.Header.Get(signatureHeader), " ")
	if len(part) != 3 || !hmac.Equal([]byte(part[2]), []byte(s.mac(r.Method, path, part[0], part[1], body))) {
		return false
	}
	ms, err := strconv.ParseInt(part[0], 10, 64)
	if err != nil || now.Sub(time.UnixMilli(ms)).Abs() > clockSkew {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[string]time.Time)
	}
	if !now.Before(s.tidy) || len(s.seen) >= maxNonces {
		s.tidy = now.Add(clockSkew)
		for nonce, old := range s.seen {
			if now.After(old) {
				delete(s.seen, nonce)
			}
		}
	}
	if _, again := s.seen[part[1]]; again || len(s.seen) >= maxNonces {
		return false
	}
	s.seen[part[1]] = now.Add(2 * clockSkew)
	return true
}
