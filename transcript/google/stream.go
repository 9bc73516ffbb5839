package google

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"cloud.google.com/go/speech/apiv1/speechpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	// writeTimeout is how long the service may take nothing.
	writeTimeout = 5 * time.Second
	maxTracks    = 2
	// mostSeconds is longer than any stream.
	mostSeconds = 3600
)

// stream is one stream of the service.
type stream struct {
	client   speechpb.Speech_StreamingRecognizeClient
	cancel   context.CancelFunc
	encoding audio.Encoding
	counters *live.Counters
	patience *time.Timer // cancels a Send that takes too long

	// Of the sender alone.
	pcm   []int16
	bytes []byte

	// Of the receiver alone.
	pending []live.Result
	settled [maxTracks]time.Duration // end of the last final result
}

// open opens a stream and sends the first request. ctx is for that alone.
func open(ctx context.Context, conn grpc.ClientConnInterface, first *speechpb.StreamingRecognizeRequest, encoding audio.Encoding, counters *live.Counters) (live.Stream, error) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	client, err := speechpb.NewSpeechClient(conn).StreamingRecognize(inner)
	if err != nil {
		cancel()
		return nil, failure(err)
	}
	s := &stream{client: client, cancel: cancel, encoding: encoding, counters: counters, patience: time.AfterFunc(writeTimeout, cancel)}
	if err = s.send(first); errors.Is(err, io.EOF) {
		err = nil // Receive tells why
	}
	if !stop() && err == nil { // it has been cancelled
		err = ctx.Err()
	}
	if err != nil {
		s.Close()
		return nil, failure(err)
	}
	return s, nil
}

// Send sends sound.
func (s *stream) Send(p []byte) error {
	s.pcm = audio.AppendDecode(s.pcm[:0], s.encoding, p)
	s.bytes = s.bytes[:0]
	for _, v := range s.pcm {
		s.bytes = binary.LittleEndian.AppendUint16(s.bytes, uint16(v))
	}
	err := s.send(&speechpb.StreamingRecognizeRequest{StreamingRequest: &speechpb.StreamingRecognizeRequest_AudioContent{AudioContent: s.bytes}})
	if err != nil && !errors.Is(err, io.EOF) {
		return failure(err)
	}
	return nil // after io.EOF Receive tells why
}

func (s *stream) send(r *speechpb.StreamingRecognizeRequest) error {
	s.patience.Reset(writeTimeout)
	defer s.patience.Stop()
	return s.client.Send(r)
}

// KeepAlive tells that the service knows no such thing: it ends streams without
// sound.
func (s *stream) KeepAlive() error { return errors.ErrUnsupported }

// Finish has the service tell its last results.
func (s *stream) Finish() error {
	if err := s.client.CloseSend(); err != nil {
		return failure(err)
	}
	return nil
}

// Receive returns the next result.
func (s *stream) Receive() (live.Result, error) {
	for len(s.pending) == 0 {
		r, err := s.client.Recv()
		if errors.Is(err, io.EOF) {
			return live.Result{}, io.EOF
		}
		if err != nil {
			return live.Result{}, failure(err)
		}
		if e := r.GetError(); e.GetCode() != 0 {
			return live.Result{}, failure(status.FromProto(e).Err())
		}
		s.pending = s.results(r)
	}
	r := s.pending[0]
	s.pending = s.pending[1:]
	return r, nil
}

// results are those of a message. Interim results of one channel are about
// stretches that follow each other, the first of which is the most stable; they
// become one.
func (s *stream) results(m *speechpb.StreamingRecognizeResponse) (results []live.Result) {
	var interim [maxTracks]live.Result
	for _, r := range m.GetResults() {
		track := max(int(r.GetChannelTag())-1, 0)
		end, ok := duration(r.GetResultEndTime())
		if !ok || track >= maxTracks || len(r.GetAlternatives()) == 0 {
			s.counters.Ignored.Add(1)
			continue
		}
		best := r.GetAlternatives()[0]
		one := live.Result{
			Track: audio.Track(track), Start: min(s.settled[track], end), End: end,
			Text: line(best.GetTranscript()), Confidence: float64(best.GetConfidence()), Words: words(best.GetWords()),
			Final: r.GetIsFinal(), Ends: r.GetIsFinal(),
		}
		if len(one.Words) > 0 { // the same result may come again
			one.Start = min(one.Start, one.Words[0].At)
		}
		if end <= s.settled[track] && (!one.Final || len(one.Words) == 0) {
			s.counters.Duplicates.Add(1)
			continue
		}
		if one.Final {
			s.settled[track] = max(s.settled[track], end)
			results = append(results, one)
			continue
		}
		one.Confidence = float64(r.GetStability())
		if before := interim[track]; before.Text != "" {
			one.Text = before.Text + " " + one.Text
			one.Confidence = min(one.Confidence, before.Confidence)
			one.End = max(one.End, before.End)
		}
		one.Words = nil
		interim[track] = one
	}
	for _, r := range interim {
		if r.Text != "" {
			results = append(results, r)
		}
	}
	return results
}

// words are those whose times make sense: all, or none.
func words(all []*speechpb.WordInfo) (list []transcript.Word) {
	for _, w := range all {
		at, ok1 := duration(w.GetStartTime())
		end, ok2 := duration(w.GetEndTime())
		if !ok1 || !ok2 || end < at {
			return nil
		}
		list = append(list, transcript.Word{Text: line(w.GetWord()), At: at, End: end, Confidence: float64(w.GetConfidence())})
	}
	return list
}

func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// duration is a time of a stream; nil is 0.
func duration(d *durationpb.Duration) (time.Duration, bool) {
	if d == nil {
		return 0, true
	}
	if d.CheckValid() != nil || d.GetSeconds() < 0 || d.GetNanos() < 0 || d.GetSeconds() > mostSeconds {
		return 0, false
	}
	return d.AsDuration(), true
}

// Close ends the stream.
func (s *stream) Close() {
	s.patience.Stop()
	s.cancel()
}

// failure puts what gRPC says into the words of package transcript.
func failure(err error) error {
	st := status.Convert(err)
	e := &transcript.Error{Service: service, Reason: transcript.ErrUnavailable, Message: live.Message(st.Message(), ""), Err: code(st.Code())}
	switch st.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		e.Reason, e.Message = transcript.ErrAuth, ""
	case codes.InvalidArgument, codes.NotFound, codes.Unimplemented, codes.FailedPrecondition:
		e.Reason = transcript.ErrRefused
	case codes.ResourceExhausted:
		e.Reason = transcript.ErrThrottled
	}
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			if wait, ok := duration(r.GetRetryDelay()); ok {
				e.RetryAfter = min(wait, time.Minute)
			}
		}
	}
	return e
}

// code is that of a failure, as gRPC names it.
type code codes.Code

func (c code) Error() string { return codes.Code(c).String() }
