package switchboard_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// given is what a piece of code in the documents may use without having made it,
// where it is no whole function.
const given = "ctx context.Context, svc *call.Service, s *call.Session, t *testing.T"

// The Go in the documents compiles. A block is a file, or declarations, or
// statements; the imports of the latter two are found by the names of packages.
func TestGoInDocumentsCompiles(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := make(map[string]string) // from files that do not exist, to those that do
	var blocks []string
	block := regexp.MustCompile("(?ms)^```go\n(.*?)^```")
	for _, file := range append(files, "README.md", "CHANGELOG.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range block.FindAllSubmatchIndex(text, -1) {
			n := len(overlay)
			line := 1 + strings.Count(string(text[:found[2]]), "\n")
			code, err := program(string(text[found[2]:found[3]]), n, fmt.Sprintf("%s:%d", filepath.Base(file), line))
			if err != nil {
				t.Error(err)
				continue
			}
			file := filepath.Join(dir, fmt.Sprintf("%d.go", n))
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("block%d", n)
			absolute, err := filepath.Abs(filepath.Join("docs", "internal", name, "block.go"))
			if err != nil {
				t.Fatal(err)
			}
			overlay[absolute] = file
			blocks = append(blocks, "./docs/internal/"+name)
		}
	}
	if len(overlay) < 10 {
		t.Errorf("%d blocks of Go: the test does not test", len(overlay))
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", append([]string{"build", "-o", os.DevNull, "-overlay", list}, blocks...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// program makes a file of a block that stands at a line of a document.
func program(block string, n int, line string) (string, error) {
	line = "//line " + line + "\n"
	if strings.HasPrefix(block, "package ") {
		return line + block, nil
	}
	block = line + block
	file := fmt.Sprintf("package block%d\n%s", n, block)
	if _, err := parser.ParseFile(token.NewFileSet(), "", file, 0); err != nil {
		block = fmt.Sprintf("func _(%s) error {\n%s\nreturn nil\n}\n", given, block)
		file = fmt.Sprintf("package block%d\n%s", n, block)
	}
	tree, err := parser.ParseFile(token.NewFileSet(), "", file, 0)
	if err != nil {
		return "", err
	}
	known := knownPackages()
	used := make(map[string]bool)
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && known[x.Name] != "" {
				used[known[x.Name]] = true
			}
		}
		return true
	})
	var imports strings.Builder
	for _, path := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&imports, "import %q\n", path)
	}
	return fmt.Sprintf("package block%d\n%s%s", n, imports.String(), block), nil
}

// knownPackages are those that documents use without an import, by their names.
func knownPackages() map[string]string {
	known := make(map[string]string)
	for path := range rooms {
		known[filepath.Base(path)] = module + "/" + path
	}
	for path := range strings.FieldsSeq("context errors io log log/slog net/http os testing testing/synctest time") {
		known[filepath.Base(path)] = path
	}
	for _, twice := range []string{"sqlstore", "internal", "."} {
		delete(known, twice)
	}
	known["sqlstore"] = module + "/call/sqlstore"
	return known
}

// Links between documents lead somewhere.
func TestLinksInDocumentsLead(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#]+)`)
	for _, file := range append(files, "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range link.FindAllSubmatch(text, -1) {
			path := string(to[1])
			if strings.Contains(path, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), path)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
