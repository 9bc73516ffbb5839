package call

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"
)

// tokenLife is how long a media socket may take to come after its address has
// been given to the carrier: an announcement plays in between.
const tokenLife = 2 * time.Minute

// tokens are the media sockets that are expected. A token is 130 random bits,
// stands in the path of one socket's address, admits one socket to one call and
// is gone with its first use.
//
// In a Cluster the word that ends the name of the replica that made it follows, so
// that a socket finds its way wherever it arrives. That is no secret.
type tokens struct {
	maker string // that word; empty where a service is alone

	mu      sync.Mutex // guards what follows
	pending map[string]ticket
	ears    map[string]ticket // those to listen; of each call at most maxListeners
}

type ticket struct {
	call    *live
	expires time.Time
}

// newID returns a random word of 26 lower-case letters and digits.
func newID() string { return strings.ToLower(rand.Text()) }

func (t *tokens) new() string {
	if t.maker == "" {
		return newID()
	}
	return newID() + "-" + t.maker
}

// tokenMaker is the word of the replica that has made a token.
func tokenMaker(token string) string {
	_, maker, _ := strings.Cut(token, "-")
	return maker
}

// issue returns a token for l: the one it has, as long as that is unused, since
// a carrier that asks twice must be told the same. That of a call that is over
// admits nowhere.
func (t *tokens) issue(l *live, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.revoked {
		return l.token
	}
	if t.pending == nil {
		t.pending = make(map[string]ticket)
	}
	if _, ok := t.pending[l.token]; !ok {
		l.token = t.new()
	}
	t.pending[l.token] = ticket{call: l, expires: now.Add(tokenLife)}
	return l.token
}

// take returns the call that a token admits to, and makes it useless.
func (t *tokens) take(token string, now time.Time) *live {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.pending[token]
	if !ok {
		return nil
	}
	delete(t.pending, token)
	if now.After(k.expires) {
		return nil
	}
	return k.call
}

// restore makes a token good again whose socket did not come about, unless the
// call has another one by now, or is over.
func (t *tokens) restore(l *live, token string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if token != l.token || l.revoked {
		return
	}
	t.pending[token] = ticket{call: l, expires: now.Add(tokenLife)}
}

// restoreLast makes the last token of a call good once more.
func (t *tokens) restoreLast(l *live, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.token != "" && !l.revoked {
		t.pending[l.token] = ticket{call: l, expires: now.Add(tokenLife)}
	}
}

// revoke forgets the token of a call that is over, and makes no more for it.
func (t *tokens) revoke(l *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pending, l.token)
	for _, token := range l.ears {
		delete(t.ears, token)
	}
	l.ears = nil
	l.revoked = true
}

// issueEar returns a new token to listen to l. It is not ok if the call is over.
func (t *tokens) issueEar(l *live, now time.Time) (token string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.revoked {
		return "", false
	}
	if t.ears == nil {
		t.ears = make(map[string]ticket)
	}
	if len(l.ears) == maxListeners {
		delete(t.ears, l.ears[0]) // used, or not
		l.ears = append(l.ears[:0], l.ears[1:]...)
	}
	token = t.new()
	l.ears = append(l.ears, token)
	t.ears[token] = ticket{call: l, expires: now.Add(listenTicketLife)}
	return token, true
}

// takeEar is take for a token to listen.
func (t *tokens) takeEar(token string, now time.Time) *live {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.ears[token]
	delete(t.ears, token)
	if !ok || now.After(k.expires) {
		return nil
	}
	return k.call
}
