// Package sim is a simulated carrier with scripted telephones behind it. It
// speaks Twilio's side of the wire over real HTTP and WebSocket: the REST API,
// signed webhooks, TwiML and media streams, so that an application can be
// tested, or tried out, with no account and no network.
//
// A [Carrier] is an [http.Handler]: its REST API. Calls that are placed there
// ring a [Phone], which behaves as its [Behavior] says. A person who has
// answered is a [Talk]: it speaks, listens, presses keys and hangs up. A phone
// also calls the application, see [Carrier.Assign] and [Phone.Call].
//
// # The ear
//
// Each phone has an exact ear. Audio that arrives while nothing is queued is
// heard from that moment on; other audio follows what is queued. A mark returns
// at the moment the audio before it has been heard, at once if there is none,
// and a clear cuts the audio off at that moment and returns all marks. What was
// heard, and when, can be read back with [Talk.Heard] and [Talk.Playback] to
// the sample.
//
// # Time
//
// All time is that of package time, and all connections are made by
// [Config.Dial]. In a bubble of testing/synctest, over connections in memory,
// calls take no real time and no real sockets. Every goroutine of a carrier
// ends with its call or, at the latest, in [Carrier.Close].
//
// # What is simulated of Twilio
//
// REST: create, fetch, list, update and delete of calls. TwiML: Say, Play of a
// WAV file or of digits, Pause, Connect with Stream, Dial of one number,
// Redirect, Hangup and Reject. Any other verb ends the call with an error that
// names it. Say has no voice: it plays a soft tone of 60 ms for each letter,
// whose pitch is that of the letter, and silence for what is no letter or
// digit. Webhooks carry the documented fields and signatures.
//
// Twilio lets a phone ring 5 seconds longer than Timeout says; so does this
// carrier. It numbers status callbacks in the order in which they are due and
// sends those of one call one after another, unless [Faults] say otherwise.
//
// The package shares no code with the adapter that it is there to test.
package sim
