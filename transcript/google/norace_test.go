//go:build !race

package google

const fewer = 1
