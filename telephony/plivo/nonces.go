package plivo

import "sync"

// rememberedNonces is how many nonces are remembered, the oldest forgotten
// first. At ten calls a second that is some minutes.
const rememberedNonces = 8192

// nonces remembers which webhook came with which nonce. The zero value is ready
// for use, by many goroutines at once.
type nonces struct {
	mu     sync.Mutex
	ids    map[string]string
	oldest []string // a ring
	next   int
}

// admit reports whether a nonce is new, or came with the same webhook before.
func (n *nonces) admit(nonce, id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.ids[nonce]; ok {
		return known == id
	}
	if n.ids == nil {
		n.ids = make(map[string]string)
		n.oldest = make([]string, rememberedNonces)
	}
	delete(n.ids, n.oldest[n.next])
	n.oldest[n.next] = nonce
	n.next = (n.next + 1) % rememberedNonces
	n.ids[nonce] = id
	return true
}
