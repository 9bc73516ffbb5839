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
// Run reads on the goroutine it was called from. What a Write brings that is due
// at once leaves on the goroutine that wrote it; all else is sent by one that
// lives only as long as there is something to send or audio waits for its time,
// so a quiet stream has none. One of them sends at a time. All have ended when
// Run returns. A Gate adds one for all its streams, which lives while there are
// any.
//
// # Wire
//
// The handshake is gorilla/websocket's. The frames after it are read and written
// here: a carrier sends fifty small messages a second for each call, and it takes
// no allocation and a third of the memory to read them into one small buffer and
// to write each in one piece. What arrives is held against every rule of RFC 6455
// for frames without extensions.
package stream
