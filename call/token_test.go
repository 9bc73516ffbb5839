package call

import (
	"testing"
	"time"
)

// A token admits to a call that lives, and nothing of it is kept when the call
// is over.
func TestTokensOfACallThatIsOver(t *testing.T) {
	var tokens tokens
	now := time.Now()
	l := &live{}
	first := tokens.issue(l, now)
	if tokens.take(first, now) != l {
		t.Fatal("not admitted")
	}
	second := tokens.issue(l, now) // the carrier asks again
	tokens.restore(l, first, now)  // the socket did not come about
	if tokens.take(first, now) != nil {
		t.Error("two tokens admit to the call")
	}
	if tokens.take(second, now) != l {
		t.Error("the newest token does not admit")
	}
	tokens.revoke(l)
	tokens.restore(l, second, now)
	tokens.issue(l, now)
	if n := len(tokens.pending); n != 0 {
		t.Errorf("%d tokens are kept", n)
	}
}
