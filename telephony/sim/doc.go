// Package sim is a simulated carrier with scripted telephones behind it. It
// speaks Twilio's or Plivo's side of the wire over real HTTP and WebSocket: the
// REST API, signed webhooks, XML and media streams, so that an application can
// be tested, or tried out, with no account and no network. [Config.Dialect] says
// whose; phones, the network between them, and faults are the same for both.
//
// A [Carrier] is an [http.Handler]: its REST API. Calls that are placed there
// ring a [Phone], which behaves as its [Behavior] says. A person who has
// answered is a [Talk]: it speaks, listens, presses keys and hangs up. A machine
// that answers is a [Voicemail]. A phone also calls the application, see
// [Carrier.Assign] and [Phone.Call].
//
// # The ear
//
// Each phone has an exact ear. Audio that arrives while nothing is queued is
// heard from that moment on; other audio follows what is queued. A mark returns
// at the moment the audio before it has been heard, at once if there is none,
// and a clear cuts the audio off at that moment and returns all marks. Plivo's
// checkpoints are marks, too, but a clear drops those that were not reached, and
// is confirmed after those that were. An ear hears 8,000 samples a second;
// streams of 16,000 are resampled, both ways. What was
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
// # Conferences
//
// All in a conference hear all others, and never themselves, added up on one clock
// of 20 ms. It begins with the second who joins, if one of them may begin it; who
// waits until then hears [HoldMusic]. Two phones that are connected by a Dial are
// such a pair, too. Keys are heard by the others, as tones and in [Talk.Keys].
//
// # Redirects
//
// A call that is redirected goes on with what it does until the application has
// answered the question what to do instead; what follows in its old instructions
// is not carried out any more. Then a stream is told to stop and closed, a phone
// that rings stops ringing, and the new instructions are carried out. A call that
// was dialed by another one may be redirected as well; the other one goes on
// after its Dial. The action of a Dial is told of its result even if the caller has
// hung up.
//
// # Recordings
//
// The carrier records what a phone says, heard or not, and what it hears, on the
// carrier's clock. The file is there, and told of, a second after the end.
// Together the files are bounded as [Config.KeepAudio] says, oldest forgotten
// first. They need the credentials of the REST API.
//
// # What is simulated of Twilio
//
// REST: create, fetch, list, update and delete of calls; recordings of calls and
// their files as WAV, with Record at the creation of a call, too; fetch, list and
// end of conferences; hold, mute and removal of their members. TwiML: Say, Play of
// a WAV file or of digits, Pause, Connect with Stream, Dial of one number or
// Conference, Redirect, Hangup and Reject. Any other verb ends the call with an
// error that names it. Say has no voice: it plays a soft tone of 60 ms for each
// letter, whose pitch is that of the letter, and silence for what is no letter or
// digit. Webhooks carry the documented fields and signatures.
//
// Twilio lets a phone ring 5 seconds longer than Timeout says; so does this
// carrier. It numbers status callbacks in the order in which they are due and
// sends those of one call one after another, unless [Faults] say otherwise.
//
// Not simulated of Twilio: Gather, Record, Start and Stop; streams one way; calls
// that join a conference through the REST API, announcements, coaching and
// recordings of conferences; hold and wait URLs, in whose place HoldMusic is
// played; silence that is trimmed; files as MP3.
//
// # What is simulated of Plivo
//
// REST: create of one or many calls; list, fetch, hang-up, cancel, transfer and
// DTMF of the call, of the one that it has dialed or of both; the queued and live
// views and detail records; recordings of calls, and their files as WAV. XML:
// Speak, Play of a WAV file, Wait, Stream, Dial of one Number, Conference,
// Redirect, Hangup and DTMF. Any other element ends the call with hangup code
// 8011, an address that fails with 7011. Streams carry mu-law and linear audio,
// refuse audio of another format, hold a minute of it, and are connected in three
// tries. Webhooks and sockets carry V3 signatures; that of a socket is over its
// full ws or wss address. The end of a call without a hangup URL is told to its
// answer URL, and an outbound call has a request_uuid that is not its CallUUID.
// [Quirks] are where Plivo's own sources differ.
//
// Not simulated of Plivo: Record, MultiPartyCall and GetInput; playing, speaking
// and streaming through the REST API; sounds and music of a Conference by address,
// its recording and its REST API; the outbound track of a stream; hangup_on_ring,
// sip_headers, parent_call_uuid and the fine settings of machine detection; the
// limit of 300 requests in 5 seconds; signatures of version 2; media messages such
// as playFailed, whose shape is not documented: what they would tell is counted in
// [Carrier.Warnings].
//
// The package shares no code with the adapter that it is there to test.
package sim
