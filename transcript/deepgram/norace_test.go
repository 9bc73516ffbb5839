//go:build !race

package deepgram

const fewer = 1
