// Package callecho measures whole servers: each answers a carrier's media
// streams, takes every frame of audio to samples and back, and returns it.
//
// The servers are processes of their own, and so speak for themselves in what
// the kernel says of their processor time and memory. The Generator plays the
// carrier: 50 frames a second for each call, over loopback.
package callecho
