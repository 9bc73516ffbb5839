//go:build !spandsp

package micro

// newPeerReceiver is nil: spandsp is a library of the system, which may be
// missing. Build with the tag spandsp where it is not.
var newPeerReceiver func() (receiver, error)
