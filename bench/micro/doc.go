// Package micro measures single deeds of the library against other packages
// that do the same, in one process and by turns.
package micro
