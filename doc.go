// Package switchboard is a library for phone calls that talk: give it an agent,
// and it makes, answers, streams, records, transcribes and ends real calls over
// the carriers' own protocols.
//
// This package is documentation only. The module's rooms, from the ground up:
//
//   - [github.com/switchboard-voice/switchboard/audio]: samples. G.711,
//     resampling, voice and tone detection, WAV.
//   - [github.com/switchboard-voice/switchboard/telephony]: numbers, and the
//     contract of a carrier. Below it are the carriers: twilio, plivo, and sim, a
//     simulated one that needs no account.
//   - [github.com/switchboard-voice/switchboard/stream]: sound over WebSockets,
//     at the right pace, with an account of what was heard.
//   - [github.com/switchboard-voice/switchboard/routing]: which agent answers.
//   - [github.com/switchboard-voice/switchboard/recording]: audio kept.
//   - [github.com/switchboard-voice/switchboard/transcript]: words kept.
//   - [github.com/switchboard-voice/switchboard/call]: the living room, where
//     sound, numbers, agents and time meet. A host imports this one first.
//   - call/sqlstore keeps records in a database, call/callhttp serves the REST
//     API, call/callotel traces and counts, call/calltest tests agents and plugs
//     without a telephone.
//
// Start with examples/quickstart, or run the sample server:
//
//	go run ./examples/server
package switchboard
