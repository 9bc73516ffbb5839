package call

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// kept is a handler that keeps the last value it was given, as it came.
type kept struct{ value string }

func (*kept) Enabled(context.Context, slog.Level) bool { return true }

func (k *kept) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		k.value = a.Value.String()
		return true
	})
	return nil
}

func (k *kept) WithAttrs(attrs []slog.Attr) slog.Handler {
	k.value = attrs[0].Value.String()
	return k
}

func (k *kept) WithGroup(string) slog.Handler { return k }

// What is logged stays on its line, in one direction and in bounds, whatever
// handler the host has.
func TestLoggedTextIsHarmless(t *testing.T) {
	tests := map[string]string{
		"plain words, Grüße":                   "plain words, Grüße",
		"level=ERROR\r\nmsg=forged":            `level=ERROR\r\nmsg=forged`,
		"\x1b[2Jgone":                          `\x1b[2Jgone`,
		"a\u202eb\u2028c":                      `a\u202eb\u2028c`,
		"\xff":                                 `\ufffd`,
		strings.Repeat("é", maxLogged/2) + "é": strings.Repeat("é", maxLogged/2) + "… (2 bytes more)",
	}
	k := &kept{}
	log := slog.New(guardedLog{k})
	for text, want := range tests {
		for way, do := range map[string]func(){
			"text":  func() { log.Info("m", "v", text) },
			"error": func() { log.Info("m", "err", errors.New(text)) },
			"with":  func() { log.With("v", text) },
		} {
			if do(); k.value != want {
				t.Errorf("%s: %.40q was logged as %.40q, want %.40q", way, text, k.value, want)
			}
		}
	}
}

// broken is a handler that panics.
type broken struct{ slog.Handler }

func (broken) Enabled(context.Context, slog.Level) bool  { return true }
func (broken) Handle(context.Context, slog.Record) error { panic("log") }
func (broken) WithAttrs([]slog.Attr) slog.Handler        { panic("log") }
func (broken) WithGroup(string) slog.Handler             { panic("log") }

func TestHandlerOfLogsThatPanics(t *testing.T) {
	log := slog.New(guardedLog{broken{}}).With("what", "is lost").WithGroup("too")
	log.Info("a line that is lost")
	if err := log.Handler().Handle(t.Context(), slog.Record{}); err == nil {
		t.Error("it did not panic: nothing was shown")
	}
}
