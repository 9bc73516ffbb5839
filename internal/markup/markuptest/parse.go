// Package markuptest reads back what was written for a carrier.
package markuptest

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// Node is a parsed element.
type Node struct {
	Name     string
	Attrs    map[string]string // nil if there are none
	Text     string            // all of it, wherever it stood
	Children []Node
}

// Element is a Node with attributes in pairs of name and value, those with an
// empty value left out, and all text as XML can hold it.
func Element(name, text string, attrs []string, children ...Node) Node {
	n := Node{Name: name, Text: Held(text), Children: children}
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] == "" {
			continue
		}
		if n.Attrs == nil {
			n.Attrs = make(map[string]string)
		}
		n.Attrs[attrs[i]] = Held(attrs[i+1])
	}
	return n
}

// Parse reads a document with the parser of the standard library, and returns
// what stands in its Response.
func Parse(t testing.TB, text string) []Node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var root Node
	open := []*Node{&root}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			var attrs []string
			for _, a := range token.Attr {
				attrs = append(attrs, a.Name.Local, a.Value)
			}
			top.Children = append(top.Children, Element(token.Name.Local, "", attrs))
			open = append(open, &top.Children[len(top.Children)-1])
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.Text += string(token)
		case xml.Comment, xml.Directive:
			t.Fatalf("%T in %s", token, text)
		}
	}
	if len(root.Children) != 1 || root.Children[0].Name != "Response" || root.Text != "" {
		t.Fatalf("not one Response: %s", text)
	}
	r := root.Children[0]
	if r.Text != "" || r.Attrs != nil {
		t.Fatalf("a Response with something beside elements: %s", text)
	}
	return r.Children
}

// Held is what XML 1.0 can hold of s (section 2.2).
func Held(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000:
			return r
		}
		return utf8.RuneError
	}, s)
}

// Hostile are texts that try to become something else.
var Hostile = []string{
	`</Say></Speak><Dial>+1900</Dial>`,
	`"/><Dial x="`,
	`'/><Dial x='`,
	`</Number><Number>+19005550100`,
	`</Conference><Conference>other`,
	`<![CDATA[ ]]>]]>`,
	`<!-- --><!DOCTYPE x [<!ENTITY e "x">]>&e;`,
	`&#0;&lt;&amp;&`,
	"\x00\x01\x1f\x7f\xff\xfe \r\n\t",
	"\u2028\uFFFE\uFFFF\U0010FFFF é",
}
