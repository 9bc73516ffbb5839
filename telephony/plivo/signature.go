package plivo

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Verify reports whether w is signed with one of the account's tokens, and
// nothing more: [Provider.ParseEvent] asks for much more. Use it for the request
// that opens an audio stream, with w.URL beginning with wss; which scheme Plivo
// signs there is not documented, so each is tried. The error wraps
// telephony.ErrUnverified.
func (p *Provider) Verify(w *telephony.Webhook) error {
	_, err := p.verify(w)
	return err
}

// signed is what a signature covers.
type signed struct {
	nonce string
	query url.Values
	form  url.Values // nil for a GET
	text  string     // what is signed of the two
}

func unverified(format string, args ...any) error {
	return fmt.Errorf("plivo: %w: %s", telephony.ErrUnverified, fmt.Sprintf(format, args...))
}

const (
	headerV3      = "X-Plivo-Signature-V3"
	headerMainV3  = "X-Plivo-Signature-Ma-V3"
	headerNonceV3 = "X-Plivo-Signature-V3-Nonce"
	headerV2      = "X-Plivo-Signature-V2"
	headerMainV2  = "X-Plivo-Signature-Ma-V2"
	headerNonceV2 = "X-Plivo-Signature-V2-Nonce"
)

func (p *Provider) verify(w *telephony.Webhook) (*signed, error) {
	s := &signed{}
	var err error
	if s.form, err = formOf(w); err != nil {
		return nil, err
	}
	address, _, _ := strings.Cut(w.URL, "#")
	address, rawQuery, _ := strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme == "" || rest == "" {
		return nil, unverified("bad URL")
	}
	if s.query, err = url.ParseQuery(rawQuery); err != nil {
		return nil, unverified("the query is not a form")
	}

	own, main, nonce := headerV3, headerMainV3, headerNonceV3
	v2 := p.AllowV2 && len(w.Header.Values(headerV3))+len(w.Header.Values(headerMainV3)) == 0
	if v2 {
		own, main, nonce = headerV2, headerMainV2, headerNonceV2
	}
	if s.nonce, err = nonceOf(w.Header, nonce); err != nil {
		return nil, err
	}
	s.text = signedText(s.query, s.form)
	tail := s.text + "." + s.nonce
	if v2 {
		tail = s.nonce
	}
	good := false
	for _, scheme := range schemes(scheme) {
		text := scheme + "://" + rest + tail
		for _, token := range append([]telephony.Secret{p.AuthToken}, p.PreviousTokens...) {
			good = matches(w.Header, own, token, text) || good
		}
		good = matches(w.Header, main, p.MainAuthToken, text) || good
	}
	if !good {
		return nil, unverified("no signature, or one of something else")
	}
	return s, nil
}

// schemes are the ones that may have been signed for an address with this one.
func schemes(scheme string) []string {
	switch scheme {
	case "wss":
		return []string{"wss", "https", "http"}
	case "ws":
		return []string{"ws", "http", "https"}
	}
	return []string{scheme}
}

// formOf returns the parameters of a POST, and none of a GET.
func formOf(w *telephony.Webhook) (url.Values, error) {
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
	if len(w.Body) == 0 {
		return url.Values{}, nil
	}
	kind, _, err := mime.ParseMediaType(w.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, unverified("content type is not a form")
	}
	form, err := url.ParseQuery(string(w.Body))
	if err != nil {
		return nil, unverified("the body is not a form")
	}
	return form, nil
}

const longestNonce = 64

// nonceOf returns the nonce. A dot in it could be the one before it, and the
// beginning of the nonce the end of a parameter.
func nonceOf(h http.Header, name string) (string, error) {
	given := h.Values(name)
	if len(given) != 1 {
		return "", unverified("no nonce")
	}
	nonce := given[0]
	if nonce == "" || len(nonce) > longestNonce || strings.ContainsFunc(nonce, notInNonce) {
		return "", unverified("the nonce is none")
	}
	return nonce, nil
}

func notInNonce(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
}

// signedText is what is signed between the path and the nonce
// (Plivo, "Signature validation", V3): the query,
// decoded and sorted, then the parameters, sorted by name, with nothing between.
func signedText(query, form url.Values) string {
	var b strings.Builder
	for i, pair := range sorted(query) {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(pair.name)
		b.WriteByte('=')
		b.WriteString(pair.value)
	}
	for i, pair := range sorted(form) {
		if i == 0 {
			b.WriteByte("?."[min(len(query), 1)])
		}
		b.WriteString(pair.name)
		b.WriteString(pair.value)
	}
	return b.String()
}

type pair struct{ name, value string }

// sorted returns values by name, and those of one name by value, in byte order.
func sorted(values url.Values) []pair {
	var pairs []pair
	for name, all := range values {
		for _, value := range all {
			pairs = append(pairs, pair{name, value})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	return pairs
}

// mostSignatures is how many signatures of one header are looked at: Plivo sends
// one for each token that is valid.
const mostSignatures = 8

// matches reports whether a header holds, among others after commas, the
// signature of text with token.
func matches(h http.Header, name string, token telephony.Secret, text string) bool {
	if token == "" {
		return false // with which anybody could sign
	}
	given := strings.SplitN(strings.Join(h.Values(name), ","), ",", mostSignatures+1)
	want := sign(token, text)
	good := false
	for _, signature := range given[:min(len(given), mostSignatures)] {
		b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(signature))
		if err == nil && hmac.Equal(b, want) {
			good = true
		}
	}
	return good
}

func sign(token telephony.Secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
