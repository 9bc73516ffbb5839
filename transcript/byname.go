package transcript

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrUnknownProvider tells that there is no transcriber of the name that Info
// asks for.
var ErrUnknownProvider = errors.New("transcript: unknown provider")

// ByName chooses a transcriber by Info.Provider. The one with the empty name is
// the default. The map must not change once calls are transcribed.
type ByName map[string]Transcriber

// Transcribe begins to listen to one call, with the transcriber that it asks
// for. It fails with ErrUnknownProvider.
func (m ByName) Transcribe(ctx context.Context, info Info) (Sink, error) {
	t := m[info.Provider]
	if t == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownProvider, info.Provider)
	}
	return t.Transcribe(ctx, info)
}

// Retranscribe does what Retranscriber says, with the transcriber that the call
// asks for. It fails with ErrUnknownProvider, or with errors.ErrUnsupported if
// that transcriber does not know recordings.
func (m ByName) Retranscribe(ctx context.Context, info Info, wav io.Reader) ([]Segment, error) {
	t := m[info.Provider]
	if t == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownProvider, info.Provider)
	}
	r, ok := t.(Retranscriber)
	if !ok {
		return nil, fmt.Errorf("transcript: %q does not transcribe recordings: %w", info.Provider, errors.ErrUnsupported)
	}
	return r.Retranscribe(ctx, info, wav)
}

// Validate tells what is wrong with the settings, those of the transcribers
// included.
func (m ByName) Validate() error {
	if len(m) == 0 {
		return errors.New("transcript: no transcriber")
	}
	for name, t := range m {
		if t == nil {
			return fmt.Errorf("transcript: transcriber %q is nil", name)
		}
		if v, ok := t.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}
