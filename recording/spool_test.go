package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// farStorage is a Memory far away: it can be out of reach, and its uploads can be
// held up.
type farStorage struct {
	Memory
	mu      sync.Mutex
	err     error // of every method, if set
	tries   int   // uploads and removals that were tried
	uploads map[string]int
	removes map[string]int
	hold    func(ctx context.Context, key string) error // before an upload takes effect
	lie     atomic.Bool                                 // it keeps other bytes than it was given
}

func (s *farStorage) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// begin counts an attempt.
func (s *farStorage) begin(counts *map[string]int, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.err != nil {
		return s.err
	}
	if *counts == nil {
		*counts = make(map[string]int)
	}
	(*counts)[key]++
	return nil
}

func (s *farStorage) Create(ctx context.Context, key string) (File, error) {
	if err := s.begin(&s.uploads, key); err != nil {
		return nil, err
	}
	if s.hold != nil {
		if err := s.hold(ctx, key); err != nil {
			return nil, err
		}
	}
	f, err := s.Memory.Create(ctx, key)
	if s.lie.Load() && err == nil {
		return lyingFile{f}, nil
	}
	return f, err
}

func (s *farStorage) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.Memory.Open(ctx, key)
}

func (s *farStorage) Remove(ctx context.Context, key string) error {
	if err := s.begin(&s.removes, key); err != nil {
		return err
	}
	return s.Memory.Remove(ctx, key)
}

type lyingFile struct{ File }

func (f lyingFile) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	p[len(p)/2] ^= 1
	return f.File.Write(p)
}

var errDown = fmt.Errorf("%w: nobody listens", ErrUnavailable)

// newSpool returns a spool that is not started.
func newSpool(t *testing.T, dir string, remote Storage) *Spool {
	return &Spool{
		Local:  &Dir{Path: dir, BaseURL: "https://voice.example.com/spool", SigningKey: make([]byte, 16)},
		Remote: remote, MinFree: -1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func start(t *testing.T, s *Spool) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
}

// shut closes a spool without waiting for its uploads.
func shut(t *testing.T, s *Spool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// keep records data under key.
func keep(t *testing.T, s Storage, key, data string) {
	t.Helper()
	f, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, data); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, s Storage, key, want string) {
	t.Helper()
	f, err := s.Open(t.Context(), key)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if got, err := io.ReadAll(f); string(got) != want || err != nil {
		t.Errorf("%s holds %q, %v; want %q", key, got, err, want)
	}
}

func holdsNot(t *testing.T, s Storage, key string) {
	t.Helper()
	if f, err := s.Open(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("open of what must not be there: %v, %v", f, err)
	}
}

func TestSpoolBringsAwayWhatIsFinishedAndKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		s := newSpool(t, t.TempDir(), remote)
		start(t, s)
		keep(t, s, "a/b.wav", "sound")
		synctest.Wait()
		holds(t, &remote.Memory, "a/b.wav", "sound")
		holdsNot(t, s.Local, "a/b.wav")
		holds(t, s, "a/b.wav", "sound")
		if st := s.Stats(); st.Pending != 0 || st.Uploaded != 1 || st.UploadedBytes != 5 || !st.Oldest.IsZero() {
			t.Errorf("stats are %+v", st)
		}
		if _, err := s.Create(t.Context(), "a/b.wav"); !errors.Is(err, ErrExists) {
			t.Errorf("create of what was brought away: %v", err)
		}
	})
}

// The other storage is away for a minute while twenty calls end.
func TestSpoolLosesNothingInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		s := newSpool(t, t.TempDir(), remote)
		start(t, s)
		remote.set(errDown)
		for i := range 20 {
			keep(t, s, fmt.Sprintf("call-%d.wav", i), fmt.Sprint("sound ", i))
			time.Sleep(3 * time.Second)
		}
		st := s.Stats()
		if st.Pending != 20 || st.PendingBytes == 0 || time.Since(st.Oldest) < 59*time.Second || time.Since(st.DownSince) < 59*time.Second {
			t.Errorf("in the outage the backlog is %+v", st)
		}
		if remote.tries > 12 {
			t.Errorf("%d attempts in a minute, want few", remote.tries)
		}
		for i := range 20 {
			holds(t, s, fmt.Sprintf("call-%d.wav", i), fmt.Sprint("sound ", i))
		}
		remote.set(nil)
		back := time.Now()
		for s.Stats().Pending > 0 {
			time.Sleep(100 * time.Millisecond)
			if time.Since(back) > time.Minute {
				t.Fatalf("after a minute %d are left", s.Stats().Pending)
			}
		}
		t.Logf("the backlog was empty %v after the outage; %d attempts failed in it", time.Since(back), s.Stats().Failed)
		for i := range 20 {
			key := fmt.Sprintf("call-%d.wav", i)
			holds(t, &remote.Memory, key, fmt.Sprint("sound ", i))
			if n := remote.uploads[key]; n != 1 {
				t.Errorf("%s was brought away %d times", key, n)
			}
		}
		if st := s.Stats(); !st.DownSince.IsZero() || st.Failed == 0 {
			t.Errorf("after the outage the stats are %+v", st)
		}
	})
}

func TestSpoolGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		remote := &farStorage{err: errDown}
		s := newSpool(t, dir, remote)
		start(t, s)
		keep(t, s, "a.wav", "one")
		keep(t, s, "b.wav", "two")
		if err := s.Remove(t.Context(), "b.wav"); err != nil {
			t.Fatal(err)
		}
		shut(t, s)

		remote.set(nil)
		keep(t, &remote.Memory, "b.wav", "two") // as if it had been brought there after all
		again := newSpool(t, dir, remote)
		keep(t, again, "c.wav", "three") // before Start
		start(t, again)
		synctest.Wait()
		holds(t, &remote.Memory, "a.wav", "one")
		holds(t, &remote.Memory, "c.wav", "three")
		holdsNot(t, &remote.Memory, "b.wav")
	})
}

// A process ended after its upload and before it deleted its own copy.
func TestSpoolDoesNotDoubleWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		s := newSpool(t, t.TempDir(), remote)
		keep(t, s, "a.wav", "one")
		keep(t, &remote.Memory, "a.wav", "one")
		start(t, s)
		synctest.Wait()
		holdsNot(t, s.Local, "a.wav")
		if keys := remote.Keys(); len(keys) != 1 {
			t.Errorf("keys are %q", keys)
		}
	})
}

// A process ended while it wrote to the other storage.
func TestSpoolClearsItsOwnRestsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		s := newSpool(t, t.TempDir(), remote)
		keep(t, s, "a.wav", "one")
		if _, err := remote.Memory.Create(t.Context(), "a.wav"); err != nil {
			t.Fatal(err)
		}
		start(t, s)
		synctest.Wait()
		holds(t, &remote.Memory, "a.wav", "one")
	})
}

func TestSpoolKeepsWhatTheOtherStorageDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		remote.lie.Store(true)
		s := newSpool(t, t.TempDir(), remote)
		start(t, s)
		keep(t, s, "a.wav", "sound")
		keep(t, s, "b.wav", "another")
		time.Sleep(time.Hour)
		holds(t, s.Local, "a.wav", "sound")
		holds(t, s.Local, "b.wav", "another")
		if st := s.Stats(); st.Pending != 2 || st.Conflicts != 0 || st.Failed < 100 || st.Uploaded != 0 {
			t.Errorf("stats are %+v", st)
		}
		remote.lie.Store(false)
		time.Sleep(time.Minute)
		holds(t, &remote.Memory, "a.wav", "sound")
		holds(t, &remote.Memory, "b.wav", "another")
	})
}

func TestSpoolWithAKeyThatIsTakenGoesOnWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		keep(t, &remote.Memory, "a.wav", "another's")
		s := newSpool(t, t.TempDir(), remote)
		start(t, s)
		keep(t, s, "a.wav", "ours")
		keep(t, s, "b.wav", "too")
		synctest.Wait()
		holds(t, &remote.Memory, "a.wav", "another's")
		holds(t, &remote.Memory, "b.wav", "too")
		holds(t, s, "a.wav", "ours")
		if st := s.Stats(); st.Conflicts != 1 || st.Pending != 1 {
			t.Errorf("stats are %+v", st)
		}
		if err := remote.Memory.Remove(t.Context(), "a.wav"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lateTime + time.Second)
		holds(t, &remote.Memory, "a.wav", "ours")
	})
}

// stubborn carries out what was given up, too, a second later.
type stubborn struct{ *farStorage }

func (s stubborn) Upload(ctx context.Context, key string, r io.ReaderAt, size int64) error {
	if err := s.begin(&s.uploads, key); err != nil {
		return err
	}
	if s.hold(ctx, key) != nil {
		time.Sleep(time.Second)
	}
	return upload(context.WithoutCancel(ctx), &s.Memory, key, r, size)
}

func TestRemovedDuringAnUploadIsGoneEverywhere(t *testing.T) {
	for name, heeds := range map[string]bool{"the upload heeds its context": true, "the upload takes effect all the same": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := make(chan struct{})
				remote := &farStorage{hold: func(ctx context.Context, _ string) error {
					close(began)
					<-ctx.Done()
					return ctx.Err()
				}}
				var far Storage = remote
				if !heeds {
					far = stubborn{remote}
				}
				s := newSpool(t, t.TempDir(), far)
				start(t, s)
				keep(t, s, "a.wav", "sound")
				<-began
				if err := s.Remove(t.Context(), "a.wav"); err != nil {
					t.Fatal(err)
				}
				holdsNot(t, s, "a.wav")
				time.Sleep(2 * time.Second)
				holdsNot(t, s.Local, "a.wav")
				holdsNot(t, &remote.Memory, "a.wav")
				if remote.uploads["a.wav"] != 1 {
					t.Errorf("%d uploads, want the one that was cut off", remote.uploads["a.wav"])
				}
				f, err := s.Create(t.Context(), "a.wav")
				if err != nil {
					t.Fatalf("its key is not free: %v", err)
				}
				if err := f.Abort(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A request that was given up arrives later than the removal.
func TestLateUploadIsRemovedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		dir := t.TempDir()
		s := newSpool(t, dir, remote)
		start(t, s)
		keep(t, s, "a.wav", "sound")
		synctest.Wait()
		if err := s.Remove(t.Context(), "a.wav"); err != nil {
			t.Fatal(err)
		}
		keep(t, &remote.Memory, "a.wav", "sound")
		holdsNot(t, s, "a.wav")
		if n := s.Stats().Removing; n != 1 {
			t.Errorf("%d removals are remembered", n)
		}
		time.Sleep(lateTime + time.Second)
		holdsNot(t, &remote.Memory, "a.wav")
		if n := s.Stats().Removing; n != 0 {
			t.Errorf("%d removals are remembered for ever", n)
		}
		if marks, _ := os.ReadDir(filepath.Join(dir, markDir)); len(marks) != 0 {
			t.Errorf("%d marks are left", len(marks))
		}
	})
}

func TestRemovedInAnOutageIsRemovedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		s := newSpool(t, t.TempDir(), remote)
		start(t, s)
		keep(t, s, "a.wav", "sound")
		synctest.Wait()
		remote.set(errDown)
		if err := s.Remove(t.Context(), "a.wav"); err != nil {
			t.Fatal(err)
		}
		holdsNot(t, s, "a.wav")
		if _, err := s.Create(t.Context(), "a.wav"); !errors.Is(err, ErrExists) {
			t.Errorf("create while the old one may be there: %v", err)
		}
		if keys := remote.Keys(); len(keys) != 1 {
			t.Errorf("in the outage there is %q", keys)
		}
		remote.set(nil)
		time.Sleep(time.Minute)
		if keys := remote.Keys(); len(keys) != 0 {
			t.Errorf("a minute later there is %q", keys)
		}
		keep(t, &remote.Memory, "b.wav", "another's") // stays
		keep(t, &remote.Memory, "a.wav", "sound")     // by an upload that was given up
		time.Sleep(lateTime + time.Second)
		if keys := remote.Keys(); len(keys) != 1 {
			t.Errorf("after an upload that came late there is %q", keys)
		}
		keep(t, s, "a.wav", "new")
		synctest.Wait()
		time.Sleep(2 * lateTime)
		holds(t, s, "a.wav", "new")
	})
}

// A process that dies between the two halves of a removal leaves the sound, and a
// mark; the next one goes on with it.
func TestRemovalThatWasBegunIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{}
		s := newSpool(t, t.TempDir(), remote)
		keep(t, s.Local, "a.wav", "sound")
		keep(t, &remote.Memory, "a.wav", "sound")
		if err := s.mark("a.wav", markRemoved); err != nil {
			t.Fatal(err)
		}
		start(t, s)
		synctest.Wait()
		holdsNot(t, s.Local, "a.wav")
		holdsNot(t, &remote.Memory, "a.wav")
		holdsNot(t, s, "a.wav")
	})
}

func TestSpoolEndsInTime(t *testing.T) {
	t.Run("it brings away what is left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			remote := &farStorage{hold: func(context.Context, string) error { time.Sleep(time.Second); return nil }}
			s := newSpool(t, t.TempDir(), remote)
			start(t, s)
			for i := range 8 {
				keep(t, s, fmt.Sprint(i), "sound")
			}
			begin := time.Now()
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took != 2*time.Second || len(remote.Keys()) != 8 {
				t.Errorf("took %v, %d are there", took, len(remote.Keys()))
			}
		})
	})
	t.Run("it does not wait for a storage that is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSpool(t, t.TempDir(), &farStorage{err: errDown})
			start(t, s)
			keep(t, s, "a.wav", "sound")
			synctest.Wait()
			begin := time.Now()
			if err := s.Close(t.Context()); err != nil || time.Since(begin) != 0 {
				t.Errorf("took %v, %v", time.Since(begin), err)
			}
		})
	})
	t.Run("it gives up what hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSpool(t, t.TempDir(), &farStorage{hold: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }})
			start(t, s)
			keep(t, s, "a.wav", "sound")
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			begin := time.Now()
			if err := s.Close(ctx); err != nil || time.Since(begin) != 3*time.Second {
				t.Errorf("took %v, %v", time.Since(begin), err)
			}
			holds(t, s, "a.wav", "sound")
		})
	})
}

func TestSpoolBoundsWhatItDoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		remote := &farStorage{hold: func(context.Context, string) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}}
		s := newSpool(t, t.TempDir(), remote)
		s.Parallel = 3
		start(t, s)
		for i := range 20 {
			keep(t, s, fmt.Sprint(i), "sound")
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if most != 3 || len(remote.Keys()) != 20 {
			t.Errorf("%d at once, %d in all", most, len(remote.Keys()))
		}
	})
}

func TestSpoolContainsAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := 3
		remote := &farStorage{hold: func(context.Context, string) error {
			if panics--; panics >= 0 {
				panic("no")
			}
			return nil
		}}
		s := newSpool(t, t.TempDir(), remote)
		start(t, s)
		keep(t, s, "a.wav", "sound")
		time.Sleep(time.Minute)
		holds(t, &remote.Memory, "a.wav", "sound")
	})
}

func TestSpoolRefusesWhenTheDiskIsNearlyFull(t *testing.T) {
	s := newSpool(t, t.TempDir(), &farStorage{})
	s.MinFree = 1 << 60
	if _, err := s.Create(t.Context(), "a.wav"); !errors.Is(err, ErrFull) {
		t.Errorf("error is %v, want ErrFull", err)
	}
	if n := s.Stats().Refused; n != 1 {
		t.Errorf("%d were counted", n)
	}
	s.MinFree = 0
	keep(t, s, "a.wav", "sound")
}

// addressed gives a storage addresses.
type addressed struct{ *farStorage }

func (s addressed) URL(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if _, err := s.Open(ctx, key); err != nil {
		return "", err
	}
	return fmt.Sprintf("https://far.example.com/%s?ttl=%d", key, int(ttl.Seconds())), nil
}

// Who plays a recording does not notice that it moves.
func TestAddressFollowsTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &farStorage{err: errDown}
		s := newSpool(t, t.TempDir(), addressed{remote})
		start(t, s)
		keep(t, s, "a.wav", "sound")
		address, err := s.URL(t.Context(), "a.wav", 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		get := func() *http.Response {
			req := httptest.NewRequest(http.MethodGet, address, nil)
			w := httptest.NewRecorder()
			http.StripPrefix("/spool", s).ServeHTTP(w, req)
			return w.Result()
		}
		resp := get()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || string(body) != "sound" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		remote.set(nil)
		time.Sleep(time.Minute)
		holdsNot(t, s.Local, "a.wav")
		if resp := get(); resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != "https://far.example.com/a.wav?ttl=240" {
			t.Errorf("%d %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		if later, err := s.URL(t.Context(), "a.wav", time.Minute); later != "https://far.example.com/a.wav?ttl=60" || err != nil {
			t.Errorf("URL is %s, %v", later, err)
		}
		if err := s.Remove(t.Context(), "a.wav"); err != nil {
			t.Fatal(err)
		}
		if resp := get(); resp.StatusCode != http.StatusNotFound {
			t.Errorf("the address of what was removed gets %d", resp.StatusCode)
		}
		time.Sleep(5 * time.Minute)
		if resp := get(); resp.StatusCode != http.StatusForbidden {
			t.Errorf("an old address gets %d", resp.StatusCode)
		}
	})
}

// What a crash has cut off is brought away once it has been salvaged.
func TestSpoolBringsAwayWhatIsSalvaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		sound := string(unfinished(1, 1))
		f := begin(t, &Dir{Path: dir}, "a.wav", sound)
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		remote := NewMemory("far")
		s := newSpool(t, dir, remote)
		start(t, s)
		keys, err := s.Unfinished()
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		rec, err := s.Salvage(t.Context(), keys[0])
		if err != nil || rec.Storage != "far" || !rec.Interrupted {
			t.Errorf("%+v, %v", rec, err)
		}
		synctest.Wait()
		holds(t, remote, "a.wav", sound)
		f.(*dirFile).Close()
	})
}

func TestSpoolForgetsWhatWasBroughtAwayLongAgo(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(t, dir, &farStorage{})
	for _, key := range []string{"old.wav", "new.wav", "removed.wav"} {
		m := markUp
		if key == "removed.wav" {
			m = markRemoved
		}
		if err := s.mark(key, m); err != nil {
			t.Fatal(err)
		}
		if key != "new.wav" {
			long := time.Now().Add(-2 * rememberTime)
			if err := os.Chtimes(filepath.Join(dir, markName(key, m)), long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.forget()
	for key, want := range map[string]bool{"old.wav": false, "new.wav": true} {
		if got, err := s.marked(key, markUp); got != want || err != nil {
			t.Errorf("%s is marked: %t, %v", key, got, err)
		}
	}
	if keys, err := s.listMarks(); len(keys) != 1 || err != nil {
		t.Errorf("removed are %q, %v", keys, err)
	}
}

func TestSpoolValidates(t *testing.T) {
	dir := &Dir{Path: t.TempDir()}
	for name, s := range map[string]*Spool{
		"no local": {Remote: &Memory{}}, "no remote": {Local: dir}, "parallel": {Local: dir, Remote: &Memory{}, Parallel: -1},
		"local without a path": {Local: &Dir{}, Remote: &Memory{}}, "remote without a path": {Local: dir, Remote: &Dir{}},
	} {
		if err := s.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (&Spool{Local: dir, Remote: &Memory{}}).Validate(); err != nil {
		t.Error(err)
	}
}
