package recording

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// minSigningKey is 128 bits.
const minSigningKey = 16

func (d *Dir) validateURL() error {
	if d.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(d.BaseURL)
	switch {
	case err != nil:
		return errors.New("BaseURL cannot be parsed")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("BaseURL is not http or https with a host and a path alone")
	case len(d.SigningKey) < minSigningKey:
		return fmt.Errorf("SigningKey is shorter than %d bytes", minSigningKey)
	}
	return nil
}

// URL returns an address that ServeHTTP answers until ttl has passed, to the
// second.
func (d *Dir) URL(_ context.Context, key string, ttl time.Duration) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", fmt.Errorf("recording: dir: url: %w", err)
	}
	if d.BaseURL == "" {
		return "", fmt.Errorf("recording: dir: url: %w", errors.ErrUnsupported)
	}
	if err := d.validateURL(); err != nil {
		return "", fmt.Errorf("recording: dir: url: %w", err)
	}
	f, _, err := d.open(key)
	if err != nil {
		return "", fmt.Errorf("recording: dir: url: %w", err)
	}
	_ = f.Close()

	expires := strconv.FormatInt(time.Now().Add(ttl).Unix(), 10)
	query := "?expires=" + expires + "&signature=" + hex.EncodeToString(d.sign(key, expires))
	return strings.TrimSuffix(d.BaseURL, "/") + "/" + key + query, nil
}

// sign covers all that an address says. Neither part has a line break, so that
// no two pairs are the same text; the first line keeps the signature from being
// one for another purpose, if the host uses its key twice.
func (d *Dir) sign(key, expires string) []byte {
	mac := hmac.New(sha256.New, d.SigningKey)
	fmt.Fprintf(mac, "switchboard recording\n%s\n%s", key, expires)
	return mac.Sum(nil)
}

// ServeHTTP answers the addresses that URL gave out; the path of the request is
// what follows BaseURL. It serves GET and HEAD, ranges included. An address that
// is not signed or has expired gets 403, one whose file is gone 404: who has no
// valid address learns nothing of what there is.
func (d *Dir) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ok := d.admit(w, r)
	if !ok {
		return
	}
	if err := d.serve(w, r, key); err != nil {
		refuse(w, err)
	}
}

// admit returns the key of a request that has a valid address, and answers any
// other.
func (d *Dir) admit(w http.ResponseWriter, r *http.Request) (key string, ok bool) {
	w.Header().Set("Cache-Control", "private, no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return "", false
	}
	key = strings.TrimPrefix(r.URL.Path, "/")
	if !d.admits(key, r.URL.Query(), time.Now()) {
		http.Error(w, "the address is not valid, or not any more", http.StatusForbidden)
		return "", false
	}
	return key, true
}

// serve answers with the file of key. It has not answered if it fails.
func (d *Dir) serve(w http.ResponseWriter, r *http.Request, key string) error {
	f, info, err := d.open(key)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w.Header().Set("Content-Type", contentType(key))
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

// refuse answers that there is no file, or that it cannot be had.
func refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, ErrNotFound) {
		http.Error(w, "there is no such recording", http.StatusNotFound)
		return
	}
	http.Error(w, "the recording cannot be read", http.StatusInternalServerError)
}

// admits reports whether key and query are those of an address that was given
// out and has not expired at now.
func (d *Dir) admits(key string, query url.Values, now time.Time) bool {
	if len(d.SigningKey) < minSigningKey || CheckKey(key) != nil {
		return false
	}
	expires, signature := query["expires"], query["signature"]
	if len(expires) != 1 || len(signature) != 1 {
		return false
	}
	got, err := hex.DecodeString(signature[0])
	if err != nil || !hmac.Equal(got, d.sign(key, expires[0])) {
		return false
	}
	until, err := strconv.ParseInt(expires[0], 10, 64)
	return err == nil && now.Unix() < until
}

func contentType(key string) string {
	if path.Ext(key) == ".wav" {
		return "audio/wav"
	}
	return "application/octet-stream"
}
