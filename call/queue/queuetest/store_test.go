package queuetest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/call/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryStore(t *testing.T) {
	TestStore(t, func(*testing.T) queue.Store { return new(queue.MemoryStore) })
}
