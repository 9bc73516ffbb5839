package switchboard_test

import (
	"os"
	"strings"
	"testing"
)

// The program in the README is examples/quickstart, letter for letter.
func TestReadmeProgramIsTheQuickstart(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("examples/quickstart/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```go\n")
	block, _, _ = strings.Cut(block, "```")
	_, code, _ := strings.Cut(string(program), "package main")
	if block != "package main"+code {
		t.Errorf("the README shows another program than examples/quickstart/main.go:\n%s", block)
	}
}
