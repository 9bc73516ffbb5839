package stream

import "time"

// Stats are counts and measures of one stream, since it began.
type Stats struct {
	// What came in.
	MessagesIn  int64
	BytesIn     int64 // of messages
	FramesIn    int64 // media messages whose audio was taken
	SamplesIn   int64
	BadMessages int64 // not of the protocol
	Ignored     int64 // of the protocol, and out of place: before the start, a second start

	// The order of what came in; see Frame.Filled.
	Gaps          int64         // places where audio was missing
	FilledSamples int64         // silence put there
	Duplicates    int64         // frames that came twice, and were dropped
	Reordered     int64         // frames that came after their place was filled, and were dropped
	Jumps         int64         // gaps too long to be filled
	Rebased       int64         // timestamps that made no sense, and were not followed
	Jitter        time.Duration // as in RFC 3550, section 6.4.1

	// What went out.
	MessagesOut    int64
	BytesOut       int64 // of messages
	FramesOut      int64 // media messages
	SamplesOut     int64 // sent, repetitions after a Pause included
	DroppedSamples int64 // written and never heard: cleared
	HeardSamples   int64
	Clears         int64
	Pauses         int64
	Underruns      int64         // times the far end ran dry within an utterance
	LatenessMax    time.Duration // from when a packet could be sent to when it was
	LatenessMean   time.Duration

	MarksSent    int64
	MarksAcked   int64
	AckDelay     time.Duration // from when audio was played, by the clock, to its acknowledgement: the mean
	MarksGivenUp int64         // never acknowledged in time
	MarksLate    int64         // acknowledged after that, or again
	MarksCleared int64         // acknowledged by a clear, which proves nothing
	MarksUnknown int64         // never sent
}
