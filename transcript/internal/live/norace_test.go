//go:build !race

package live_test

const fewer = 1
