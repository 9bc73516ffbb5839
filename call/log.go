package call

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// guardedLog stands before the handler of Config.Logger. What we log may be text
// of carriers, callers and hosts: control characters are escaped and long values
// cut, whatever the handler does with them. A handler that panics loses the line,
// or what With was given, and nothing else; one that does not return holds up
// whoever logs.
type guardedLog struct{ to slog.Handler }

func (h guardedLog) Enabled(ctx context.Context, level slog.Level) (yes bool) {
	_ = contain(func() error { yes = h.to.Enabled(ctx, level); return nil })
	return yes
}

func (h guardedLog) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	err := contain(func() error { // values may be of the host's types
		r.Attrs(func(a slog.Attr) bool {
			clean.AddAttrs(cleanAttr(a))
			return true
		})
		return h.to.Handle(ctx, clean)
	})
	return err
}

func (h guardedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func() slog.Handler {
		clean := make([]slog.Attr, len(attrs))
		for i, a := range attrs {
			clean[i] = cleanAttr(a)
		}
		return h.to.WithAttrs(clean)
	})
}

func (h guardedLog) WithGroup(name string) slog.Handler {
	return h.with(func() slog.Handler { return h.to.WithGroup(name) })
}

// with is the handler that derive makes, or h itself if that panics.
func (h guardedLog) with(derive func() slog.Handler) slog.Handler {
	derived := h
	_ = contain(func() error { derived.to = derive(); return nil })
	return derived
}

// cleanAttr makes text harmless: strings and errors, in groups too.
func cleanAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(cleanText(v.String()))
	case slog.KindGroup:
		group := make([]slog.Attr, len(v.Group()))
		for i, g := range v.Group() {
			group[i] = cleanAttr(g)
		}
		v = slog.GroupValue(group...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			v = slog.StringValue(cleanText(err.Error()))
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// maxLogged is how many bytes of one value are logged. A stack of a goroutine
// that has panicked fits.
const maxLogged = 8 << 10

// cleanText is s on one line of printable characters, cut to what is logged of
// one value. Line breaks and tabs are escaped too: a line of a log is one line.
func cleanText(s string) string {
	rest := max(0, len(s)-maxLogged)
	for rest > 0 && rest < len(s) && !utf8.RuneStart(s[len(s)-rest]) {
		rest++
	}
	s = s[:len(s)-rest]
	if strings.ContainsFunc(s, isUnprintable) {
		var b strings.Builder
		for _, r := range s {
			if isUnprintable(r) {
				quoted := strconv.QuoteRuneToASCII(r)
				b.WriteString(quoted[1 : len(quoted)-1])
			} else {
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if rest > 0 {
		s += "… (" + strconv.Itoa(rest) + " bytes more)"
	}
	return s
}

// isUnprintable reports control characters, those that change the direction of
// text, and what is no UTF-8.
func isUnprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
