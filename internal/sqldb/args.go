package sqldb

import (
	"fmt"
	"strings"
)

// Args are the values of a statement that is being written.
type Args []any

// Add adds a value and returns what stands for it in the statement.
func (a *Args) Add(value any) string {
	*a = append(*a, value)
	return fmt.Sprintf("$%d", len(*a))
}

// AddTexts adds the texts of values and returns the list of them, as it follows IN.
// A statement may have no empty one.
func AddTexts[T any](a *Args, values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = a.Add(fmt.Sprint(v))
	}
	return "(" + strings.Join(texts, ", ") + ")"
}
