package call_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// recordedByCarrier has an office whose agent has the carrier record its call, and
// returns the call as it is some minutes later.
func recordedByCarrier(t *testing.T, setting func(*call.Config)) (*office, *call.Call) {
	var o *office
	o = newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		if _, err := o.StartCarrierRecording(ctx, s.Call().ID, telephony.RecordRequest{}); err != nil {
			t.Errorf("start: %v", err)
		}
		_, err := s.Speak(tone(440, 2*time.Second)).Wait(ctx)
		return err
	}), setting)
	o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { <-k.Done() }})
	c := o.wait(o.place(call.Options{}).ID)
	time.Sleep(15 * time.Minute)
	c, err := o.Call(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return o, c
}

func TestCarriersRecordingIsFetchedToOurStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &recording.Memory{}
		o, c := recordedByCarrier(t, func(cfg *call.Config) {
			cfg.Recorder, cfg.FetchCarrierRecordings = &recording.WAV{Storage: st}, true
		})
		if len(c.Fetched) != 1 || c.Sound() == nil || *c.Sound() != c.Fetched[0] || c.Fetched[0].Source != c.CarrierRecordings[0].ID {
			t.Fatalf("fetched are %+v of %+v", c.Fetched, c.CarrierRecordings)
		}
		rec := c.Fetched[0]
		f, err := st.Open(t.Context(), rec.Key)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Seek(0, io.SeekEnd)
		f.Seek(0, io.SeekStart)
		pcm, rate, err := audio.ReadWAV(f)
		if err != nil || size != rec.Size || len(pcm) != rec.Channels || rate != rec.Rate || audio.Duration(len(pcm[0]), rate) != rec.Duration || rec.Duration < time.Second {
			t.Errorf("%d bytes, %d channels at %d, %v; the record says %+v", size, len(pcm), rate, err, rec)
		}
		again, err := o.FetchCarrierRecording(t.Context(), c.ID, rec.Source)
		if err != nil || again != rec || len(st.Keys()) != 1 {
			t.Errorf("fetched again: %+v, %v, %q", again, err, st.Keys())
		}
		if _, err := o.FetchCarrierRecording(t.Context(), c.ID, "another"); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("of another call: %v", err)
		}
		if err := o.Erase(t.Context(), c.ID); err != nil || len(st.Keys()) != 0 {
			t.Errorf("erased: %v, %q", err, st.Keys())
		}
		if n := o.Stats().FetchesFailed; n != 0 {
			t.Errorf("%d failures", n)
		}
	})
}

// lateStorage cannot keep anything at first.
type lateStorage struct {
	recording.Memory
	refuse int
}

func (s *lateStorage) Create(ctx context.Context, key string) (recording.File, error) {
	if s.refuse--; s.refuse >= 0 {
		return nil, recording.ErrUnavailable
	}
	return s.Memory.Create(ctx, key)
}

func TestFetchIsTriedAgainAndGivenUp(t *testing.T) {
	for name, tt := range map[string]struct{ refuse, kept, failed int }{
		"a storage that is back": {3, 1, 0}, "a storage that stays away": {100, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &lateStorage{refuse: tt.refuse}
				o, c := recordedByCarrier(t, func(cfg *call.Config) {
					cfg.Recorder, cfg.FetchCarrierRecordings = &recording.WAV{Storage: st}, true
				})
				if len(c.Fetched) != tt.kept || len(st.Keys()) != tt.kept || o.Stats().FetchesFailed != int64(tt.failed) {
					t.Errorf("%d fetched, %q kept, %d failed", len(c.Fetched), st.Keys(), o.Stats().FetchesFailed)
				}
				if st.refuse = 0; tt.kept == 0 { // it is still with the carrier
					if rec, err := o.FetchCarrierRecording(t.Context(), c.ID, c.CarrierRecordings[0].ID); err != nil || rec.Key == "" {
						t.Errorf("later: %+v, %v", rec, err)
					}
				}
			})
		})
	}
}

func TestCarriersRecordingStaysThereUnlessWished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &recording.Memory{}
		_, c := recordedByCarrier(t, func(cfg *call.Config) { cfg.Recorder = &recording.WAV{Storage: st} })
		if len(c.Fetched) != 0 || len(st.Keys()) != 0 || len(c.CarrierRecordings) != 1 {
			t.Errorf("fetched are %+v of %+v", c.Fetched, c.CarrierRecordings)
		}
	})
}

// holding is a recorder that has kept a file and does not say so.
type holding struct {
	recording.WAV
	release chan struct{}
}

func (r *holding) Keep(ctx context.Context, info recording.Info, f io.Reader) (recording.Recording, error) {
	rec, err := r.WAV.Keep(ctx, info, f)
	<-r.release
	return rec, err
}

// A recorder that does not return is not waited for, and what it comes with in the
// end is deleted again: no record tells of it.
func TestRecordingThatIsKeptTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &recording.Memory{}
		r := &holding{recording.WAV{Storage: st}, make(chan struct{})}
		o, c := recordedByCarrier(t, func(cfg *call.Config) { cfg.Recorder = r })
		id := c.CarrierRecordings[0].ID
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := o.FetchCarrierRecording(ctx, c.ID, id); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if n := o.Stats().HostHeld; n != 1 || len(st.Keys()) != 1 {
			t.Errorf("%d are held, kept is %q", n, st.Keys())
		}
		close(r.release)
		synctest.Wait()
		if n := o.Stats().HostHeld; n != 0 || len(st.Keys()) != 0 {
			t.Errorf("then %d are held, kept is %q", n, st.Keys())
		}
		if rec, err := o.FetchCarrierRecording(t.Context(), c.ID, id); err != nil || len(st.Keys()) != 1 || rec.Key != st.Keys()[0] {
			t.Errorf("fetched again: %+v, %v", rec, err)
		}
	})
}
