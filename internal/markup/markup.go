// Package markup writes the XML that carriers are answered with, in a fixed
// order and with everything escaped that came from outside.
package markup

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
)

// Element is one element: attributes, then text, then children.
type Element struct {
	Name     string
	Attrs    []Attr
	Text     string
	Children []Element
}

// Attr is one attribute. It is left out if its value is empty.
type Attr struct{ Name, Value string }

// Header is how every document begins.
const Header = `<?xml version="1.0" encoding="UTF-8"?>`

// Document is a Response, as all carriers call it, of these elements.
func Document(elements ...Element) []byte {
	var b bytes.Buffer
	b.WriteString(Header)
	write(&b, Element{Name: "Response", Children: elements})
	return b.Bytes()
}

// write escapes with xml.EscapeText, which also puts U+FFFD for what XML 1.0
// cannot hold. Writing to a bytes.Buffer does not fail.
func write(b *bytes.Buffer, e Element) {
	b.WriteByte('<')
	b.WriteString(e.Name)
	for _, a := range e.Attrs {
		if a.Value == "" {
			continue
		}
		b.WriteByte(' ')
		b.WriteString(a.Name)
		b.WriteString(`="`)
		_ = xml.EscapeText(b, []byte(a.Value))
		b.WriteByte('"')
	}
	if e.Text == "" && len(e.Children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	_ = xml.EscapeText(b, []byte(e.Text))
	for _, child := range e.Children {
		write(b, child)
	}
	b.WriteString("</")
	b.WriteString(e.Name)
	b.WriteByte('>')
}

// Reply writes a document as the whole reply to a webhook. It may not be kept:
// some carriers keep replies to a GET.
func Reply(w http.ResponseWriter, contentType string, elements ...Element) error {
	body := Document(elements...)
	h := w.Header()
	h.Set("Content-Type", contentType+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, err := w.Write(body)
	return err
}
