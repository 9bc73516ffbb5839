package schedule

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// thorough has properties tested over all there is, instead of a sample.
var thorough = flag.Bool("thorough", false, "test every zone, year by year, and not a sample")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
