package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// tokens are who may use the API. Of a token only the digest is kept.
type tokens []grant

type grant struct {
	tenant string
	digest [sha256.Size]byte
}

const tenantLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// parse reads "token" or "tenant=token", with commas between.
func (t *tokens) parse(list string) error {
	seen := make(map[[sha256.Size]byte]bool)
	for _, item := range splitList(list) {
		tenant, token, named := strings.Cut(item, "=")
		if !named {
			tenant, token = "", item
		}
		switch {
		case token == "" || named && tenant == "":
			return errors.New("a token or its tenant is empty")
		case strings.ContainsAny(token, "= \t"):
			return errors.New("a token has a space or an equals sign in it")
		case strings.Trim(tenant, tenantLetters) != "":
			return errors.New("the name of a tenant has something other than letters, digits, - and _ in it")
		}
		g := grant{tenant, sha256.Sum256([]byte(token))}
		if seen[g.digest] {
			return errors.New("a token is there twice")
		}
		seen[g.digest] = true
		*t = append(*t, g)
	}
	return nil
}

// make adds a random token, and returns it.
func (t *tokens) make() string {
	token := rand.Text()
	*t = append(*t, grant{digest: sha256.Sum256([]byte(token))})
	return token
}

var errToken = errors.New("no valid token")

// authorize returns whose token a request has. It takes the same time for every
// token that is wrong.
func (t tokens) authorize(r *http.Request) (tenant string, err error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errToken
	}
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	err = errToken
	for _, g := range t {
		if subtle.ConstantTimeCompare(digest[:], g.digest[:]) == 1 {
			tenant, err = g.tenant, nil
		}
	}
	return tenant, err
}
