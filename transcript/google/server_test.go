package google

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/speech/apiv1/speechpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
	"github.com/switchboard-voice/switchboard/transcript/internal/livetest"
)

// server recognises as the API is documented, and misbehaves as a test wants.
type server struct {
	speechpb.UnimplementedSpeechServer
	faults func(nth int) faults

	mu      sync.Mutex
	streams int
	config  *speechpb.StreamingRecognitionConfig
	longest time.Duration
	asked   []time.Time
}

type faults struct {
	code    codes.Code // refuses the stream so
	retry   time.Duration
	cut     time.Duration // after which the stream fails
	inBand  bool          // and says so in a message
	slow    time.Duration // for each message
	garbage bool
	twice   bool
	noFinal bool
	mute    bool // at the end
}

// start serves on a network of its own and returns a transcriber for it.
func start(t *testing.T, s *server) *Transcriber {
	n := memnet.New()
	l, err := n.Listen("127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	speechpb.RegisterSpeechServer(srv, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:80", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return n.DialContext(ctx, "tcp", addr) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		srv.Stop()
		_ = n.Close()
		wg.Wait()
	})
	return &Transcriber{Conn: conn}
}

// limit is how long the service lets a stream last.
const limit = 305 * time.Second

func (s *server) StreamingRecognize(stream speechpb.Speech_StreamingRecognizeServer) error {
	began := time.Now()
	s.mu.Lock()
	nth := s.streams
	s.streams++
	s.asked = append(s.asked, began)
	var f faults
	if s.faults != nil {
		f = s.faults(nth)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.longest = max(s.longest, time.Since(began))
	}()
	if f.code != codes.OK {
		st := status.New(f.code, "no good")
		if f.retry > 0 {
			var err error
			if st, err = st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(f.retry)}); err != nil {
				return err
			}
		}
		return st.Err()
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	config := first.GetStreamingConfig()
	if config.GetConfig().GetEncoding() != speechpb.RecognitionConfig_LINEAR16 || config.GetConfig().GetSampleRateHertz() != 8000 {
		return status.Error(codes.InvalidArgument, "bad config")
	}
	s.mu.Lock()
	s.config = config
	s.mu.Unlock()
	c := &recognition{faults: f, stream: stream, channels: int(config.GetConfig().GetAudioChannelCount())}
	c.listeners[1].Track = audio.Outbound
	return c.run(began)
}

type recognition struct {
	faults
	stream    speechpb.Speech_StreamingRecognizeServer
	channels  int
	listeners [2]livetest.Listener
}

func (c *recognition) run(began time.Time) error {
	requests := make(chan *speechpb.StreamingRecognizeRequest)
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(c.stream.Context())
	defer cancel()
	wg.Go(func() {
		for {
			r, err := c.stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	end := began.Add(limit)
	if c.cut > 0 {
		end = began.Add(c.cut)
	}
	over := time.NewTimer(time.Until(end))
	defer over.Stop()
	for {
		silent := time.NewTimer(10 * time.Second)
		select {
		case r := <-requests:
			silent.Stop()
			if err := c.hear(r.GetAudioContent()); err != nil {
				return err
			}
		case err := <-failed:
			silent.Stop()
			return c.end(err)
		case <-silent.C:
			return c.fail(codes.OutOfRange, "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time.")
		case <-over.C:
			silent.Stop()
			return c.fail(codes.OutOfRange, "Exceeded maximum allowed stream duration of 305 seconds.")
		}
	}
}

// fail ends the stream with an error, after which the client sends no more.
func (c *recognition) fail(code codes.Code, message string) error {
	if c.inBand {
		return c.stream.Send(&speechpb.StreamingRecognizeResponse{Error: &statuspb.Status{Code: int32(code), Message: message}})
	}
	return status.Error(code, message)
}

// end tells the last results.
func (c *recognition) end(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if c.mute {
		<-c.stream.Context().Done()
		return nil
	}
	for i := range c.channels {
		if err := c.tell(c.listeners[i].Flush()); err != nil {
			return err
		}
	}
	return nil
}

func (c *recognition) hear(linear []byte) error {
	pcm := audio.AppendDecode(nil, audio.PCM16, linear)
	for track := range c.channels {
		var one []int16
		for i := track; i < len(pcm); i += c.channels {
			one = append(one, pcm[i])
		}
		if err := c.tell(c.listeners[track].Hear(audio.AppendEncode(nil, audio.MuLaw, one))); err != nil {
			return err
		}
	}
	return nil
}

// tell tells of words. Where there are none it says nothing.
func (c *recognition) tell(results []live.Result) error {
	for _, r := range results {
		if r.Text == "" || r.Final && c.noFinal {
			continue
		}
		time.Sleep(c.slow)
		if c.garbage {
			if err := c.stream.Send(&speechpb.StreamingRecognizeResponse{SpeechEventType: 99, Results: []*speechpb.StreamingRecognitionResult{
				{}, {IsFinal: true, ChannelTag: 9, Alternatives: []*speechpb.SpeechRecognitionAlternative{{Transcript: "x"}}},
				{IsFinal: true, ResultEndTime: &durationpb.Duration{Seconds: -5}, Alternatives: []*speechpb.SpeechRecognitionAlternative{{Transcript: "x"}}},
				{IsFinal: true, ResultEndTime: &durationpb.Duration{Seconds: 3000}, Alternatives: []*speechpb.SpeechRecognitionAlternative{{Transcript: "x"}}},
			}}); err != nil {
				return err
			}
		}
		for range 1 + btoi(c.twice) {
			if err := c.stream.Send(&speechpb.StreamingRecognizeResponse{Results: c.result(r)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// result is a final result, or two interim ones that follow each other.
func (c *recognition) result(r live.Result) []*speechpb.StreamingRecognitionResult {
	one := &speechpb.StreamingRecognitionResult{IsFinal: r.Final, ResultEndTime: durationpb.New(r.End), LanguageCode: "en-us"}
	if c.channels > 1 {
		one.ChannelTag = int32(r.Track) + 1
	}
	best := &speechpb.SpeechRecognitionAlternative{Transcript: " " + r.Text}
	one.Alternatives = []*speechpb.SpeechRecognitionAlternative{best}
	if !r.Final {
		one.Stability = 0.9
		n := len(r.Words) - 1
		if n == 0 {
			return []*speechpb.StreamingRecognitionResult{one}
		}
		cut := len(best.Transcript) - len(r.Words[n].Text)
		rest := &speechpb.StreamingRecognitionResult{ResultEndTime: one.ResultEndTime, Stability: 0.1, ChannelTag: one.ChannelTag,
			Alternatives: []*speechpb.SpeechRecognitionAlternative{{Transcript: best.Transcript[cut:]}}}
		best.Transcript = best.Transcript[:cut]
		one.ResultEndTime = durationpb.New(r.Words[n].At)
		return []*speechpb.StreamingRecognitionResult{one, rest}
	}
	best.Confidence = 0.9
	for _, w := range r.Words {
		best.Words = append(best.Words, &speechpb.WordInfo{Word: w.Text, StartTime: durationpb.New(w.At), EndTime: durationpb.New(w.End), Confidence: 0.9})
	}
	return []*speechpb.StreamingRecognitionResult{one}
}
