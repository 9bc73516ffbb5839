package call

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
)

// Analyzer looks at a call that is over: what it was about, how the caller felt,
// whether the matter was settled. It may be used by many goroutines at once.
type Analyzer interface {
	// Analyze is given a copy of the record, with its transcript. The call has ended
	// before that and is not held up. It has a minute; a panic is contained.
	Analyze(ctx context.Context, c *Call) (Analysis, error)
}

// AnalyzerFunc is an Analyzer.
type AnalyzerFunc func(ctx context.Context, c *Call) (Analysis, error)

// Analyze calls f.
func (f AnalyzerFunc) Analyze(ctx context.Context, c *Call) (Analysis, error) { return f(ctx, c) }

// Analysis is what an Analyzer has to say. Both maps together have 64 entries at
// most; names are up to 64 bytes of lower-case letters, digits, dots, hyphens and
// underscores, and labels up to 1,024 bytes.
type Analysis struct {
	Figures map[string]float64 `json:"figures,omitempty"` // such as sentiment, from -1 to 1
	Labels  map[string]string  `json:"labels,omitempty"`  // such as resolution: "solved"
}

// ErrInvalidFigures tells that figures are too many, not numbers, or badly named.
var ErrInvalidFigures = errors.New("call: figures are too many, not numbers, or badly named")

const (
	maxFigures = 64
	maxName    = 64
	maxLabel   = 1024
)

func (a *Analysis) validate() error {
	if len(a.Figures)+len(a.Labels) > maxFigures {
		return fmt.Errorf("%w: there are %d", ErrInvalidFigures, len(a.Figures)+len(a.Labels))
	}
	if err := checkFigures(a.Figures); err != nil {
		return err
	}
	for name, label := range a.Labels {
		if !validFigure(name) || len(label) > maxLabel {
			return fmt.Errorf("%w: a label is too long, or its name is none", ErrInvalidFigures)
		}
	}
	return nil
}

func (a *Analysis) clone() *Analysis {
	if a == nil {
		return nil
	}
	return &Analysis{Figures: maps.Clone(a.Figures), Labels: maps.Clone(a.Labels)}
}

func checkFigures(figures map[string]float64) error {
	for name, v := range figures {
		switch {
		case !validFigure(name):
			return fmt.Errorf("%w: a name of %d bytes", ErrInvalidFigures, len(name))
		case math.IsNaN(v) || math.IsInf(v, 0):
			return fmt.Errorf("%w: %s is not a number", ErrInvalidFigures, name)
		}
	}
	return nil
}

func validFigure(name string) bool {
	return name != "" && len(name) <= maxName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// LogMetrics puts figures of the host's own onto the call's record, in
// Metrics.Figures, and tells of them with an event: what the caller's sentiment
// is, whether the matter was settled. A name that is there gets the new value. It
// fails with ErrInvalidFigures, and changes nothing, if there would be more than 64
// or one is not a number; names are as those of an Analysis.
func (s *Session) LogMetrics(figures map[string]float64) error {
	if err := checkFigures(figures); err != nil {
		return err
	}
	if len(figures) == 0 {
		return nil
	}
	err := ErrEnded
	s.live.amend(func(c *Call) *Event {
		all := maps.Clone(c.Metrics.Figures)
		if all == nil {
			all = make(map[string]float64, len(figures))
		}
		maps.Copy(all, figures)
		if len(all) > maxFigures {
			err = fmt.Errorf("%w: there would be %d", ErrInvalidFigures, len(all))
			return nil
		}
		err = nil
		c.Metrics.Figures = all
		return &Event{Type: EventMetrics, Figures: maps.Clone(figures)}
	})
	return err
}

// analyze has a call that is over looked at.
func (s *Service) analyze(id string) error {
	c, err := s.stored(s.chores.ctx, id)
	if err != nil {
		return err
	}
	found, err := within(s.chores.ctx, s, analyzeTime, func(ctx context.Context) (Analysis, error) {
		return s.cfg.Analyzer.Analyze(ctx, c)
	}, nil)
	if err == nil {
		err = found.validate()
	}
	if err != nil {
		detail := err.Error()
		return errors.Join(err, s.amend(s.chores.ctx, id, func(*Call) *Event { return &Event{Type: EventAnalysis, Detail: detail} }))
	}
	return s.amend(s.chores.ctx, id, func(c *Call) *Event {
		c.Analysis = found.clone()
		return &Event{Type: EventAnalysis, Figures: maps.Clone(found.Figures), Data: maps.Clone(found.Labels)}
	})
}
