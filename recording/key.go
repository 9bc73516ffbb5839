package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Limits of keys. A part leaves room for what a storage puts around it within
// the 255 bytes that file systems allow a name; S3 allows 1,024 bytes for a key
// with its prefix.
const (
	maxKey     = 512
	maxKeyPart = 200
)

// CheckKey returns nil if key can be the name of a recording in a [Storage]: a
// path of at most 512 bytes whose parts, parted by slashes, have 1 to 200 ASCII
// letters, digits, hyphens, underscores and dots and do not begin with a dot.
// Otherwise it returns an error that wraps ErrInvalidKey.
func CheckKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: longer than %d bytes", ErrInvalidKey, maxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "":
			return fmt.Errorf("%w: empty part", ErrInvalidKey)
		case part[0] == '.':
			return fmt.Errorf("%w: part begins with a dot", ErrInvalidKey)
		case len(part) > maxKeyPart:
			return fmt.Errorf("%w: part longer than %d bytes", ErrInvalidKey, maxKeyPart)
		}
		for _, c := range []byte(part) {
			if !plain(c) && c != '.' {
				return fmt.Errorf("%w: unexpected byte %q", ErrInvalidKey, c)
			}
		}
	}
	return nil
}

// plain reports whether c is a letter, a digit, a hyphen or an underscore.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// callKey is where the nth recording of a call goes, n from 1.
func callKey(callID string, start time.Time, n int) string {
	key := start.UTC().Format("2006/01/02/") + fileName(callID)
	if n > 1 {
		key = fmt.Sprintf("%s-%d", key, n)
	}
	return key + ".wav"
}

// fileName makes one part of a key of an id that may be anything. Different ids
// get different names: one that had to be changed carries a digest of the id.
func fileName(id string) string {
	const longest = 128
	name := []byte(id[:min(len(id), longest)])
	for i, c := range name {
		if !plain(c) {
			name[i] = '_'
		}
	}
	if id != "" && string(name) == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return string(name) + "-" + hex.EncodeToString(sum[:8])
}
