//go:build race

package google

// fewer is by what many calls are divided under the race detector, which makes
// them slow.
const fewer = 10
