//go:build unix

package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/internal/s3test"
	"github.com/switchboard-voice/switchboard/recording"
)

// way is a reverse proxy to the server, on which requests meet faults.
type way struct {
	*httptest.Server
	fault atomic.Pointer[fault]
	fired atomic.Int64
}

// A fault handles a request, or returns false to let it pass.
type fault func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool

func newWay(t *testing.T) *way {
	target, err := url.Parse(s3test.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	p := &way{}
	transport := &http.Transport{}
	pass := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // which is signed
		Transport: transport,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := p.fault.Load()
		if f == nil {
			pass.ServeHTTP(w, r)
			return
		}
		p.fired.Add(1)
		if !(*f)(w, r, pass) {
			p.fired.Add(-1)
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		p.Close()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *way) set(f fault) {
	if f == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&f)
}

// refuse answers as S3 does.
func refuse(status int, code string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message><RequestId>R1</RequestId></Error>", code)
		return true
	}
}

// answer passes a request on and changes the header of the answer.
func answer(r *http.Request, pass http.Handler, w http.ResponseWriter, change func(h http.Header)) bool {
	rec := httptest.NewRecorder()
	pass.ServeHTTP(rec, r)
	change(rec.Header())
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
	return true
}

func reset(http.ResponseWriter, *http.Request, http.Handler) bool { panic(http.ErrAbortHandler) }

// What may be wrong with the storage or the way to it. While it is wrong the file
// stays here, the backlog says so, and once it is mended the file is there soon.
func TestSpoolOutlastsEveryFault(t *testing.T) {
	for name, f := range map[string]fault{
		"500":                 refuse(500, "InternalError"),
		"503":                 refuse(503, "SlowDown"),
		"expired credentials": refuse(400, "ExpiredToken"),
		"access denied":       refuse(403, "AccessDenied"),
		"no such bucket":      refuse(404, "NoSuchBucket"),
		"a redirect":          refuse(307, "TemporaryRedirect"),
		"a page of HTML": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			w.WriteHeader(200)
			io.WriteString(w, "<html>please log in</html>")
			return true
		},
		"it never answers": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return true
		},
		"connections are reset": reset,
		"the reply is lost": func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if r.Method != http.MethodPut {
				return false
			}
			pass.ServeHTTP(httptest.NewRecorder(), r)
			return refuse(503, "SlowDown")(w, r, pass)
		},
		"bytes change on the way": func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if r.Method != http.MethodPut {
				return false
			}
			b, _ := io.ReadAll(r.Body)
			b[len(b)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(b))
			pass.ServeHTTP(w, r)
			return true
		},
		"it tells another checksum": func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if r.Method != http.MethodHead {
				return false
			}
			return answer(r, pass, w, func(h http.Header) {
				if h.Get("X-Amz-Checksum-Crc32") != "" {
					h.Set("X-Amz-Checksum-Crc32", "AAAAAA==")
				}
			})
		},
		"it tells another length": func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if r.Method != http.MethodHead {
				return false
			}
			return answer(r, pass, w, func(h http.Header) { h.Set("Content-Length", "7") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newWay(t)
			s := at(t, p.URL)
			if name == "it never answers" {
				s.Timeout = 300 * time.Millisecond
			}
			remote := hear(s)
			spool := &recording.Spool{Local: &recording.Dir{Path: t.TempDir()}, Remote: remote, MinFree: -1}
			p.set(f)
			if err := spool.Start(); err != nil {
				t.Fatal(err)
			}
			data := sound(100_000)
			keep(t, spool, "a.wav", data)
			lost := name == "the reply is lost" // after which it is there all the same
			err := <-remote.uploads
			if err == nil && !lost {
				t.Error("during the fault the upload succeeds")
			}
			if st := spool.Stats(); !lost && (st.Pending != 1 || st.PendingBytes != 100_000 || st.Uploaded != 0) {
				t.Errorf("during the fault the backlog is %+v", st)
			}
			if !lost {
				holds(t, spool.Local, "a.wav", data)
			}
			if p.fired.Load() == 0 {
				t.Error("the fault was not met")
			}
			p.set(nil)
			if err != nil {
				remote.await(t, 1)
			}
			if err := spool.Close(t.Context()); err != nil { // it waits for what is under way
				t.Error(err)
			}
			if st := spool.Stats(); st.Pending != 0 || st.Uploaded != 1 {
				t.Errorf("after the fault the backlog is %+v", st)
			}
			holds(t, s, "a.wav", data)
		})
	}
}

// heard is a Storage that tells what came of each upload.
type heard struct {
	*Storage
	uploads chan error
}

func hear(s *Storage) heard { return heard{s, make(chan error, 100)} }

func (h heard) Upload(ctx context.Context, key string, r io.ReaderAt, size int64) error {
	err := h.Storage.Upload(ctx, key, r, size)
	select {
	case h.uploads <- err:
	case <-ctx.Done():
	}
	return err
}

// await waits until so many uploads have succeeded, however often they fail before.
func (h heard) await(t *testing.T, uploads int) {
	t.Helper()
	for uploads > 0 {
		switch err := <-h.uploads; {
		case err == nil:
			uploads--
		case errors.Is(err, recording.ErrExists): // which is not tried again for an hour
			t.Fatal(err)
		}
	}
}

// keep records data under key.
func keep(t *testing.T, s recording.Storage, key string, data []byte) {
	t.Helper()
	f, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsTellTheReasonAndNoSecret(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    fault
		want error
		text string
	}{
		{"not found", refuse(404, "NoSuchKey"), recording.ErrNotFound, "404 NoSuchKey"},
		{"no bucket", refuse(404, "NoSuchBucket"), recording.ErrUnavailable, "404 NoSuchBucket"},
		{"denied", refuse(403, "AccessDenied"), recording.ErrDenied, "403 AccessDenied"},
		{"expired", refuse(400, "ExpiredToken"), recording.ErrDenied, "400 ExpiredToken"},
		{"taken", refuse(412, "PreconditionFailed"), recording.ErrExists, "412 PreconditionFailed"},
		{"at work", refuse(409, "ConditionalRequestConflict"), recording.ErrUnavailable, "409"},
		{"broken", refuse(500, "InternalError"), recording.ErrUnavailable, "500 InternalError"},
		{"reset", reset, recording.ErrUnavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newWay(t)
			s := at(t, p.URL)
			client, err := s.open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.set(tt.f)
			err = wrap("upload", s.send(t.Context(), client, "a.wav", strings.NewReader("x"), 1, "gyqJ2A=="))
			var e *Error
			if !errors.Is(err, tt.want) || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error is %v, want %v with %q", err, tt.want, tt.text)
			}
			for _, secret := range []string{s3test.SecretAccessKey, s3test.AccessKeyID, "http://"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q holds %q", err, secret)
				}
			}
		})
	}
	t.Run("no credentials", func(t *testing.T) {
		t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
		s := at(t, s3test.Start(t).URL())
		s.AccessKeyID, s.SecretAccessKey = "", ""
		if _, err := s.Open(t.Context(), "a.wav"); !errors.Is(err, recording.ErrDenied) {
			t.Errorf("error is %v, want ErrDenied", err)
		}
	})
	if text := fmt.Sprintf("%v %+v", &Storage{SecretAccessKey: "hidden"}, Storage{SessionToken: "hidden"}.SessionToken); strings.Contains(text, "hidden") {
		t.Errorf("printed: %s", text)
	}
}

// The server is killed while calls end, and started again a while later.
func TestServerIsKilledWhileCallsEnd(t *testing.T) {
	const calls = 20
	server := s3test.Start(t)
	s := newStorage(t)
	remote := hear(s)
	spool := &recording.Spool{Local: &recording.Dir{Path: t.TempDir()}, Remote: remote, MinFree: -1}
	if err := spool.Start(); err != nil {
		t.Fatal(err)
	}
	key := func(i int) string { return fmt.Sprintf("2026/call-%d.wav", i) }
	size := func(i int) int { return 50_000 + i*minPartSize/8 } // some in parts
	for i := range calls / 4 {
		keep(t, spool, key(i), sound(size(i)))
	}
	server.Kill(t)
	for i := calls / 4; i < calls; i++ {
		keep(t, spool, key(i), sound(size(i)))
	}
	there := 0
	for err := error(nil); err == nil; {
		if err = <-remote.uploads; err == nil {
			there++
		}
	}
	waiting := spool.Stats()
	server.Restart(t)
	back := time.Now()
	remote.await(t, calls-there)
	if err := spool.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if st := spool.Stats(); st.Pending != 0 || st.Uploaded != calls {
		t.Errorf("at the end the backlog is %+v", st)
	}
	t.Logf("%d files, %d bytes were waiting; the backlog was empty %v after the server was back", waiting.Pending, waiting.PendingBytes, time.Since(back).Round(time.Millisecond))
	for i := range calls {
		holds(t, s, key(i), sound(size(i)))
	}
	if n := parts(t, s); n != 0 {
		t.Errorf("%d uploads in parts are left", n)
	}
}

func TestRemovedWhileItsPartsAreSent(t *testing.T) {
	p := newWay(t)
	s := at(t, p.URL)
	second := make(chan struct{})
	var once sync.Once
	p.set(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.URL.Query().Get("partNumber") != "2" {
			return false
		}
		once.Do(func() { close(second) })
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	})
	spool := &recording.Spool{Local: &recording.Dir{Path: t.TempDir()}, Remote: s, MinFree: -1}
	if err := spool.Start(); err != nil {
		t.Fatal(err)
	}
	keep(t, spool, "a.wav", sound(3*minPartSize))
	<-second
	if err := spool.Remove(t.Context(), "a.wav"); err != nil {
		t.Fatal(err)
	}
	for _, st := range []recording.Storage{spool, spool.Local, s} {
		if _, err := st.Open(t.Context(), "a.wav"); !errors.Is(err, recording.ErrNotFound) {
			t.Errorf("%s has it still: %v", st.Name(), err)
		}
	}
	if n := parts(t, s); n != 0 {
		t.Errorf("%d uploads in parts are left", n)
	}
	if err := spool.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The memory of an upload does not depend on how long the recording is.
func TestUploadsNeedLittleMemory(t *testing.T) {
	const uploads = 4
	s := newStorage(t)
	const size = 64 << 20 // half an hour
	name := filepath.Join(t.TempDir(), "a.wav")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Upload(t.Context(), "warm.wav", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	before := heap()
	peak := atomic.Uint64{}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				runtime.GC()
				peak.Store(max(peak.Load(), heap()))
			}
		}
	})
	var wg sync.WaitGroup
	for i := range uploads {
		wg.Go(func() {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if err := s.Upload(t.Context(), fmt.Sprintf("%d.wav", i), f, size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(done)
	watch.Wait()
	each := (int64(peak.Load()) - int64(before)) / uploads
	t.Logf("%d kB live for each of %d uploads of %d MB", each>>10, uploads, size>>20)
	if each > 1<<20 {
		t.Errorf("an upload holds %d bytes", each)
	}
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func TestEncryptionIsAskedFor(t *testing.T) {
	for _, tt := range []struct {
		encryption Encryption
		key        string
	}{{SSES3, ""}, {SSEKMS, "alias/calls"}, {"", ""}} {
		p := newWay(t)
		s := at(t, p.URL)
		s.Encryption, s.KMSKeyID = tt.encryption, tt.key
		var mu sync.Mutex
		var asked []string
		p.set(func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == "" || r.Method == http.MethodPost && r.URL.Query().Has("uploads") {
				mu.Lock()
				asked = append(asked, r.Header.Get("X-Amz-Server-Side-Encryption")+" "+r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"))
				mu.Unlock()
				return refuse(501, "NotImplemented")(w, r, pass)
			}
			return false
		})
		for i, size := range []int{10, minPartSize + 1} {
			if err := s.Upload(t.Context(), fmt.Sprint(i), bytes.NewReader(sound(size)), int64(size)); !errors.Is(err, recording.ErrUnavailable) {
				t.Error(err)
			}
		}
		if len(asked) < 2 {
			t.Errorf("%q: %d requests", tt.encryption, len(asked))
		}
		for _, got := range asked {
			if want := string(tt.encryption) + " " + tt.key; got != want {
				t.Errorf("asked for %q, want %q", got, want)
			}
		}
	}
}
