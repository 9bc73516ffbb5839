package live

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/transcript"
)

const (
	longestMessage = 200 // bytes
	longestRetry   = time.Minute
)

// Refusal makes an error of a reply without success. message is what the
// service says; the secret is taken out, and where it is about credentials all
// of it, since services tell parts of them.
func Refusal(service string, status int, h http.Header, message, secret string) *transcript.Error {
	e := &transcript.Error{
		Service: service, Reason: transcript.ReasonOf(status), Status: status,
		Message: Message(message, secret), RetryAfter: retryAfter(h, time.Now()),
	}
	if e.Reason == transcript.ErrAuth {
		e.Message = ""
	}
	return e
}

// Message shortens what a service says and takes the secret out.
func Message(message, secret string) string {
	if secret != "" {
		message = strings.ReplaceAll(message, secret, "[secret]")
	}
	message = strings.Join(strings.Fields(message), " ")
	return strings.ToValidUTF8(message[:min(len(message), longestMessage)], "")
}

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetry)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestRetry)
}

// Local reports whether a host is this machine.
func Local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
