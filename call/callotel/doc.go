// Package callotel tells OpenTelemetry about calls: a trace of each, and
// metrics of all.
//
//	telemetry := &callotel.Telemetry{}
//	svc, err := call.New(call.Config{
//		CallContext: telemetry.CallContext,
//		// …
//	})
//	go telemetry.Watch(ctx, svc)
//
// It uses the API of OpenTelemetry only: whether anything is exported, and where
// to, is up to the host's SDK.
//
// # Traces
//
// A call is one span, named "call", from the moment that this process takes it up
// to its terminal state. The context of the call has it, so that whatever an
// agent traces, such as requests to a language model, becomes its child. Children
// are, besides,
//
//   - each state, by its name, such as "connecting" or "active";
//   - each turn of speech of which the words became known, "turn", with its
//     speaker; right to a packet or so;
//   - each request to the carrier, by its method, with [Telemetry.Transport].
//
// Events on the span are keys, interruptions, holds, moves, failovers, who picked
// up, recordings, cleanups that failed, and the like. A warm transfer's two calls
// are linked.
//
// # Metrics
//
//	switchboard.calls                       {call}          counter: calls that are over
//	switchboard.call.duration               s               histogram: from the answer
//	switchboard.call.time_to_answer         s               histogram
//	switchboard.call.response_latency       s               histogram: each call's median
//	switchboard.call.transcription_latency  s               histogram: each call's median
//	switchboard.call.audio_quality          1               histogram, of calls with sound
//	switchboard.call.interruptions          {interruption}  counter
//	switchboard.calls.live                  {call}          up-down counter
//	switchboard.calls.refused               {call}          counter
//	switchboard.legs.refused                {leg}           counter, by reason
//	switchboard.events.dropped              {event}         counter
//	switchboard.events.unsaved              {event}         counter
//	switchboard.records.pending             {record}        up-down counter
//	switchboard.agents.left                 {agent}         up-down counter
//	switchboard.plugs.held                  {request}       up-down counter
//	http.client.request.duration            s               histogram, by Transport
//
// Those about calls that are over have the attributes switchboard.provider and
// switchboard.direction; switchboard.calls has switchboard.state and
// switchboard.cause, too. The others are as in [call.Stats].
//
// # What is not told
//
// Nothing that is told is about anybody: no number, no word, no key, no id of the
// carrier's, nothing that the host has given a call or an agent has logged. The id
// of the call, which is ours and random, is on its span, and in no metric.
package callotel
