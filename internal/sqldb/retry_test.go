package sqldb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetry(t *testing.T) {
	var (
		errFailed  = errors.New("failed")
		errUndone  = errors.New("undone")
		errUnknown = errors.New("unknown")
	)
	db := &DB{Patience: retryFor, dialect: dialect{outcome: func(err error) outcome {
		return map[error]outcome{errFailed: failed, errUndone: undone, errUnknown: unknown}[err]
	}}}
	for _, tt := range []struct {
		name    string
		results []error // of each try; the last one again and again
		tries   int     // 0: many
		again   bool    // what the last try is told
		want    error
		least   time.Duration
		most    time.Duration
	}{
		{"what succeeds is done once", []error{nil}, 1, false, nil, 0, 0},
		{"what fails for good is done once", []error{errFailed}, 1, false, errFailed, 0, 0},
		{"what was not done is done again", []error{errUndone, errUndone, nil}, 3, false, nil, 0, 50 * time.Millisecond},
		{"what may have been done is told so", []error{errUnknown, errUndone, nil}, 3, true, nil, 0, 50 * time.Millisecond},
		{"a failure for good ends it", []error{errUndone, errFailed}, 2, false, errFailed, 0, 50 * time.Millisecond},
		{"after five seconds the failure counts", []error{errUndone}, 0, false, errUndone, 4 * time.Second, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, tries, told := time.Now(), 0, false
				err := db.Retry(t.Context(), func(again bool) error {
					told = again
					tries++
					return tt.results[min(tries, len(tt.results))-1]
				})
				if !errors.Is(err, tt.want) || told != tt.again {
					t.Errorf("%v, the last was told %t", err, told)
				}
				if tt.tries > 0 && tries != tt.tries || tt.tries == 0 && (tries < 10 || tries > 50) {
					t.Errorf("%d tries", tries)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestRetryHeedsContext(t *testing.T) {
	errUndone := errors.New("undone")
	db := &DB{Patience: retryFor, dialect: dialect{outcome: func(error) outcome { return undone }}}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := db.Retry(ctx, func(bool) error { return errUndone }); !errors.Is(err, errUndone) {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
