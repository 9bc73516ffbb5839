// Package stream carries the sound of calls over WebSockets: a carrier's media
// stream or a browser on one side, samples on the other.
//
// A [Gate] accepts sockets. Each becomes a [Conn], whose Run reads until the
// stream ends and tells a [Handler] what comes in. What is to be heard at the
// far end is given to Write, which may run as far ahead as its buffer allows;
// it is sent at the pace at which it is played.
//
// How a far end packs audio into messages is a [Protocol]. The carriers' own
// are beside the carriers; [PCM] is the one for browsers.
//
// # What was heard
//
// Sent is not heard: the far end keeps a queue, and an interruption throws it
// away. A Conn keeps account of both. Positions count the samples that were
// written since the stream began, the dropped ones included, so a position once
// given always means the same sample. What has been heard is told by a clock
// that plays along with the far end, and proved by marks that the far end
// returns.
//
// # Goroutines
//
// Run reads on the goroutine it was called from, and starts one that writes,
// the only one to touch the socket's sending side. Both have ended when Run
// returns. A Gate adds one for all its streams, which lives while there are any.
package stream
