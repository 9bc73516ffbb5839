package callhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// idOfKey is the id of what a tenant creates under an idempotency key.
func idOfKey(prefix, tenant, key string) string {
	sum := sha256.Sum256([]byte(tenant + "\x00" + key))
	return prefix + hex.EncodeToString(sum[:16])
}

// sameJSON reports whether what is stored is what is asked for again.
func sameJSON(a, b any) bool {
	one, err := json.Marshal(a)
	other, wrong := json.Marshal(b)
	return err == nil && wrong == nil && string(one) == string(other)
}
