package recording

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// children are what processes do that tests start, by the variable that names
// the directory for it.
var children = map[string]func(dir string) error{childDir: recordForever}

func TestMain(m *testing.M) {
	for name, do := range children {
		if dir := os.Getenv(name); dir != "" {
			if err := do(dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	goleak.VerifyTestMain(m)
}
