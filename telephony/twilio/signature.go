package twilio

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Verify reports whether w is signed with one of the account's tokens, and
// nothing more: [Provider.ParseEvent] asks for much more. Use it for the request
// that opens a media stream, with w.URL beginning with wss. The error wraps
// telephony.ErrUnverified.
func (p *Provider) Verify(w *telephony.Webhook) error {
	_, err := p.verify(w)
	return err
}

// verify returns the parameters that the signature of w covers beside the URL.
func (p *Provider) verify(w *telephony.Webhook) (url.Values, error) {
	given := w.Header.Values("X-Twilio-Signature")
	if len(given) != 1 || given[0] == "" {
		return nil, unverified("no signature")
	}
	form, err := signedForm(w)
	if err != nil {
		return nil, err
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(given[0])
	if err != nil || len(signature) != sha1.Size {
		return nil, unverified("the signature is none")
	}
	params := signedParams(form)
	ok := false
	for _, token := range append([]telephony.Secret{p.AuthToken}, p.PreviousTokens...) {
		if token == "" {
			continue // with which anybody could sign
		}
		for _, address := range signedURLs(w.URL) {
			if hmac.Equal(signature, sign(token, address+params)) {
				ok = true
			}
		}
	}
	if !ok {
		return nil, unverified("the signature is of something else")
	}
	return form, nil
}

func unverified(format string, args ...any) error {
	return fmt.Errorf("twilio: %w: %s", telephony.ErrUnverified, fmt.Sprintf(format, args...))
}

// sign is Twilio's signature before base64
// (https://www.twilio.com/docs/usage/webhooks/webhooks-security).
func sign(token telephony.Secret, data string) []byte {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(data))
	return mac.Sum(nil)
}

// signedForm returns the parameters that are signed beside the URL: the form of
// a POST, and none of a GET or of a JSON body, which is covered by its digest in
// the query.
func signedForm(w *telephony.Webhook) (url.Values, error) {
	switch w.Method {
	case http.MethodGet:
		if len(w.Body) > 0 {
			return nil, unverified("a GET with a body")
		}
		return nil, nil
	case http.MethodPost:
	default:
		return nil, unverified("method is neither GET nor POST")
	}
	kind, _, err := mime.ParseMediaType(w.Header.Get("Content-Type"))
	if err != nil && len(w.Body) > 0 {
		return nil, unverified("no content type")
	}
	if kind == "application/json" {
		return nil, checkBodyDigest(w)
	}
	if kind != "application/x-www-form-urlencoded" && len(w.Body) > 0 {
		return nil, unverified("content type is neither a form nor JSON")
	}
	form, err := url.ParseQuery(string(w.Body))
	if err != nil {
		return nil, unverified("the body is not a form")
	}
	return form, nil
}

func checkBodyDigest(w *telephony.Webhook) error {
	u, err := url.Parse(w.URL)
	if err != nil {
		return unverified("bad URL")
	}
	want, err := hex.DecodeString(u.Query().Get("bodySHA256"))
	if got := sha256.Sum256(w.Body); err != nil || !hmac.Equal(got[:], want) {
		return unverified("the digest is of another body")
	}
	return nil
}

// signedParams joins the parameters as Twilio does: in byte order of their
// names, each distinct value of a name in byte order and preceded by it.
func signedParams(form url.Values) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			b.WriteString(name)
			b.WriteString(v)
		}
	}
	return b.String()
}

// signedURLs returns the forms of a URL in which Twilio may have signed it: with
// and without its port or the standard one, without user information, with an
// apostrophe in the query as it is or escaped, and a socket's address also with
// a slash at its end. Nothing else is normalised.
func signedURLs(raw string) []string {
	raw, _, _ = strings.Cut(raw, "#")
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, target := rest[:end], rest[end:]
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	path, query, hasQuery := strings.Cut(target, "?")

	standard := ":80"
	if scheme == "https" || scheme == "wss" {
		standard = ":443"
	}
	authorities := []string{authority, host}
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		authorities = append(authorities, host[:colon])
	} else {
		authorities = append(authorities, host+standard)
	}
	targets := []string{target}
	if hasQuery {
		targets = append(targets, path+"?"+strings.ReplaceAll(query, "'", "%27"))
	}
	if (scheme == "wss" || scheme == "ws") && !hasQuery && !strings.HasSuffix(path, "/") {
		targets = append(targets, path+"/")
	}

	var urls []string
	for _, a := range authorities {
		for _, t := range targets {
			urls = append(urls, scheme+"://"+a+t)
		}
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}
