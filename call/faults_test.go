package call

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test that docs/faults.md names exists, each fault has a line, in order,
// and says what shows it or why nothing does; and the rules of the simulated
// world are those that are listed.
func TestFaultsInTheDocs(t *testing.T) {
	b, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	exists := testNames(t)
	fault := 0
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| F") {
			continue
		}
		fault++
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if want := fmt.Sprintf("| F%02d", fault); cells[0] != want || len(cells) != 4 {
			t.Fatalf("line %q: want %s and three cells", line, want)
		}
		open := strings.Contains(strings.ToLower(cells[3]), "*open*")
		if !open && !strings.Contains(cells[3], "`") {
			t.Errorf("%s: nothing shows it", cells[0])
		}
	}
	if fault != 110 {
		t.Errorf("%d faults, want 110", fault)
	}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(page, -1) {
		if !exists[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
	for r, text := range ruleTexts {
		row := fmt.Sprintf("| %s | %s |", r, strings.ToUpper(text[:1])+text[1:])
		if !strings.Contains(page, row) {
			t.Errorf("missing: %s", row)
		}
	}
}

// testNames are the tests and fuzz targets of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range function.FindAllSubmatch(b, -1) {
			names[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
