// Package audio holds samples and what is done to them: G.711 by table,
// resampling, mixing, voice and tone detection, and WAV files.
//
// It knows nothing of calls, carriers or sockets. All audio is mono; what is
// said of a pair of voices is said of two streams.
//
// # Units
//
// A sample is one amplitude, a signed 16-bit integer. A frame is a stretch of
// samples that travelled together, usually 20 ms. Lengths are samples or
// [time.Duration], never bytes, unless a name says Bytes.
//
// # Memory
//
// Functions that produce audio either fill the caller's slice or append to it,
// as [strconv.AppendInt] does. Nothing on the path of a frame allocates, and
// tests hold it to that.
package audio
