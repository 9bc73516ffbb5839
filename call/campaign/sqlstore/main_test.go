package sqlstore

import (
	"testing"

	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
