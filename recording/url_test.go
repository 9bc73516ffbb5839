package recording

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const base = "https://voice.example.com/phone/recordings"

// served makes a Dir with one file, "a/b.wav", and the handler that serves it.
func served(t *testing.T) (*Dir, http.Handler) {
	t.Helper()
	d := &Dir{Path: t.TempDir(), BaseURL: base, SigningKey: []byte("sixteen or more bytes")}
	if err := begin(t, d, "a/b.wav", "0123456789").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, http.StripPrefix("/phone/recordings", d)
}

func address(t *testing.T, d *Dir, key string, ttl time.Duration) string {
	t.Helper()
	u, err := d.URL(t.Context(), key, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func request(h http.Handler, method, url string, header ...string) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestDirServesItsAddresses(t *testing.T) {
	d, h := served(t)
	u := address(t, d, "a/b.wav", time.Minute)
	if !strings.HasPrefix(u, base+"/a/b.wav?") {
		t.Errorf("the address is %s", u)
	}
	tests := []struct {
		name   string
		method string
		header []string
		status int
		body   string
	}{
		{"all of it", "GET", nil, 200, "0123456789"},
		{"its head", "HEAD", nil, 200, ""},
		{"a range", "GET", []string{"Range", "bytes=2-4"}, 206, "234"},
		{"its end", "GET", []string{"Range", "bytes=-2"}, 206, "89"},
		{"a range beyond", "GET", []string{"Range", "bytes=20-"}, 416, "invalid range: failed to overlap\n"},
		{"another method", "POST", nil, 405, "method not allowed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := request(h, tt.method, u, tt.header...)
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || string(body) != tt.body {
				t.Errorf("answer is %d %q, %v; want %d %q", res.StatusCode, body, err, tt.status, tt.body)
			}
			if tt.status >= 300 {
				return
			}
			if cache := res.Header.Get("Cache-Control"); !strings.Contains(cache, "private") {
				t.Errorf("Cache-Control is %q", cache)
			}
			if kind := res.Header.Get("Content-Type"); kind != "audio/wav" {
				t.Errorf("Content-Type is %q", kind)
			}
		})
	}
}

// Old and made-up addresses open nothing.
func TestDirAddressesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := served(t)
		u := address(t, d, "a/b.wav", time.Minute)
		status := func(want int) {
			t.Helper()
			if got := request(h, "GET", u).StatusCode; got != want {
				t.Errorf("status is %d, want %d", got, want)
			}
		}
		status(200)
		time.Sleep(59 * time.Second)
		status(200)
		if err := d.Remove(t.Context(), "a/b.wav"); err != nil {
			t.Fatal(err)
		}
		status(404)
		time.Sleep(time.Second)
		status(403)
	})
}

func TestDirRefusesOtherAddresses(t *testing.T) {
	d, h := served(t)
	if err := begin(t, d, "a/c.wav", "other").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	writing := begin(t, d, "a/d.wav", "unfinished")
	defer writing.Abort()
	good := address(t, d, "a/b.wav", time.Minute)
	path, query, _ := strings.Cut(good, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	signature, expires := values.Get("signature"), values.Get("expires")
	later := expires[:len(expires)-1] + strconv.Itoa(int(expires[len(expires)-1]-'0'+1)%10)
	sign := func(key, expires string) string {
		return base + "/" + key + "?expires=" + expires + "&signature=" + hexSign(d, key, expires)
	}
	other := &Dir{Path: d.Path, BaseURL: base, SigningKey: []byte("another sixteen bytes")}
	tests := []struct {
		name, url string
		status    int
	}{
		{"the good one", good, 200},
		{"no query", path, 403},
		{"no signature", path + "?expires=" + expires, 403},
		{"an empty signature", path + "?expires=" + expires + "&signature=", 403},
		{"half a signature", good[:len(good)-32], 403},
		{"a signature that is no hexadecimal", path + "?expires=" + expires + "&signature=zz", 403},
		{"another time", path + "?expires=" + later + "&signature=" + signature, 403},
		{"two times", good + "&expires=" + later, 403},
		{"two signatures", good + "&signature=" + signature, 403},
		{"another file", strings.Replace(good, "a/b.wav", "a/c.wav", 1), 403},
		{"the same file by another path", strings.Replace(good, "a/b.wav", "a//b.wav", 1), 403},
		{"another key", address(t, other, "a/b.wav", time.Minute), 403},
		{"a time that is no number, signed", sign("a/b.wav", "soon"), 403},
		{"a time beyond counting, signed", sign("a/b.wav", "99999999999999999999"), 403},
		{"a directory, signed", sign("a", expires), 404},
		{"what is being written, signed", sign("a/d.wav", expires), 404},
		{"a part, signed", sign("a/.d.wav.part", expires), 403},
		{"what never was, signed", sign("a/e.wav", expires), 404},
		{"outside, signed", sign("../a", expires), 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if res := request(h, "GET", tt.url); res.StatusCode != tt.status {
				t.Errorf("status of %s is %d, want %d", tt.url, res.StatusCode, tt.status)
			}
		})
	}
}

func hexSign(d *Dir, key, expires string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range d.sign(key, expires) {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestDirWithoutASigningKeyServesNothing(t *testing.T) {
	d := &Dir{Path: t.TempDir()}
	if err := begin(t, d, "a.wav", "sound").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	expires := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	u := "https://example.com/a.wav?expires=" + expires + "&signature=" + hexSign(d, "a.wav", expires)
	if res := request(d, "GET", u); res.StatusCode != 403 {
		t.Errorf("status is %d, want 403", res.StatusCode)
	}
	if _, err := d.URL(t.Context(), "a.wav", time.Hour); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("URL: %v; want errors.ErrUnsupported", err)
	}
	d.BaseURL = base
	if u, err := d.URL(t.Context(), "a.wav", time.Hour); err == nil {
		t.Errorf("URL without a key is %s", u)
	}
}

// No path and query but the one that was given out gets anything.
func FuzzAdmits(f *testing.F) {
	d := &Dir{SigningKey: []byte("sixteen or more bytes")}
	now := time.Unix(1_800_000_000, 0)
	const key, expires = "a/b.wav", "1800000060"
	query := "expires=" + expires + "&signature=" + hexSign(d, key, expires)
	good, err := url.ParseQuery(query)
	if err != nil || !d.admits(key, good, now) {
		f.Fatalf("the good address is refused: %v", err)
	}
	f.Add(key, query)
	f.Add(key, query+"&signature=00")
	f.Add(key, "expires=9999999999&signature=00")
	f.Add("a/c.wav", query)
	f.Add("../a", "")
	f.Fuzz(func(t *testing.T, path, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if !d.admits(path, values, now) {
			return
		}
		if path != key || values.Get("expires") != expires || !strings.EqualFold(values.Get("signature"), good.Get("signature")) {
			t.Errorf("%q with %q is admitted", path, raw)
		}
	})
}
