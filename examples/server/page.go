package main

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page use nothing but what this server serves.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"media-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// published are the files that pages of other origins may use, too: the module for
// their call buttons.
var published = []string{"/switchboard.js", "/worklet.js"}

// page serves the files of the page.
func page() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // it is part of the program
	}
	packed := compress(files)
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Path == "/favicon.ico" { // some ask for it, whatever the page says
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if slices.Contains(published, r.URL.Path) {
			h.Set("Access-Control-Allow-Origin", "*")
		}
		h.Set("Vary", "Accept-Encoding")
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		small, ok := packed[name]
		if !ok || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			server.ServeHTTP(w, r)
			return
		}
		h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(small)
	})
}

// compress packs files for those who can unpack them.
func compress(files fs.FS) map[string][]byte {
	packed := make(map[string][]byte)
	names, err := fs.Glob(files, "*")
	if err != nil {
		panic(err) // the pattern is good
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // it is part of the program
		}
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // which is a level
		_, _ = z.Write(data)
		_ = z.Close() // to memory
		packed[name] = b.Bytes()
	}
	return packed
}
