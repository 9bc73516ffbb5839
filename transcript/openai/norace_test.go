//go:build !race

package openai

const fewer = 1
