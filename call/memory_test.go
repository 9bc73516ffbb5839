package call_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
)

func TestMemoryStore(t *testing.T) {
	calltest.TestStore(t, func(*testing.T) call.Store { return call.NewMemoryStore() })
}

func TestMemoryStoreForgets(t *testing.T) {
	tests := []struct {
		name     string
		max      int
		ended    []int // which of eight calls end, in this order
		deleted  []int
		restarts bool // every call that ended is written once more
		kept     []int
	}{
		{name: "nothing while calls live", max: 1, kept: []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{name: "the call that ended first, not the oldest", max: 2, ended: []int{5, 0, 3}, kept: []int{0, 1, 2, 3, 4, 6, 7}},
		{name: "nothing for a call that is written again after its end", max: 2, ended: []int{5, 0}, restarts: true, kept: []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{name: "nothing in place of a call that was deleted", max: 2, ended: []int{5, 0, 3}, deleted: []int{0}, kept: []int{1, 2, 3, 4, 5, 6, 7}},
		{name: "all but one with the smallest bound", max: 1, ended: []int{0, 1, 2, 3, 4, 5, 6, 7}, kept: []int{7}},
		{name: "nothing without a bound", max: -1, ended: []int{0, 1, 2, 3, 4, 5, 6, 7}, kept: []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{name: "nothing below the default bound", ended: []int{0, 1, 2, 3, 4, 5, 6, 7}, kept: []int{0, 1, 2, 3, 4, 5, 6, 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			s := &call.MemoryStore{MaxEnded: tt.max}
			var calls []*call.Call
			for i := range 8 {
				c := numbered(i)
				calls = append(calls, c)
				mustCreate(t, s, c)
			}
			write := func(i int) {
				calls[i].Version++
				calls[i].State = call.Completed
				if err := s.Update(ctx, calls[i], nil); err != nil {
					t.Fatal(err)
				}
			}
			for n, i := range tt.ended {
				write(i)
				if tt.restarts {
					write(i)
				}
				if n == 1 {
					for _, i := range tt.deleted {
						if err := s.Delete(ctx, calls[i].ID); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			for i, c := range calls {
				_, err := s.Get(ctx, c.ID)
				if kept := slices.Contains(tt.kept, i); kept != (err == nil) {
					t.Errorf("call %d: kept should be %v, Get returned %v", i, kept, err)
				}
				if _, listed := s.ByProvider(ctx, c.Provider, c.ProviderCallID); (listed == nil) != (err == nil) {
					t.Errorf("call %d: Get returned %v, ByProvider %v", i, err, listed)
				}
			}
			list, err := s.List(ctx, call.Filter{})
			if err != nil || len(list) != len(tt.kept) {
				t.Errorf("List returned %d calls, %v, not %d", len(list), err, len(tt.kept))
			}
		})
	}
}

func TestMemoryStoreForgetsKeyWithCall(t *testing.T) {
	s := &call.MemoryStore{MaxEnded: 1}
	for i := range 2 {
		c := numbered(i)
		c.State = call.Failed
		c.IdempotencyKey = fmt.Sprintf("key-%d", i)
		mustCreate(t, s, c)
	}
	again := numbered(2)
	again.IdempotencyKey = "key-0"
	mustCreate(t, s, again)
	again = numbered(3)
	again.IdempotencyKey = "key-1"
	if existing, err := s.Create(t.Context(), again, nil); err != nil || existing == nil || existing.ID != "call-1" {
		t.Errorf("Create under the key of a call that is kept returned %v, %v", existing, err)
	}
}

func TestMemoryStoreKeepsTenThousandEndedCalls(t *testing.T) {
	s := call.NewMemoryStore()
	for i := range 10_001 {
		c := numbered(i)
		c.State = call.Completed
		mustCreate(t, s, c)
	}
	if _, err := s.Get(t.Context(), "call-0"); !errors.Is(err, call.ErrNotFound) {
		t.Errorf("the first call: %v, not ErrNotFound", err)
	}
	for _, id := range []string{"call-1", "call-10000"} {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func numbered(i int) *call.Call {
	return &call.Call{
		ID: fmt.Sprintf("call-%d", i), Version: 1,
		Provider: "sim", ProviderCallID: fmt.Sprintf("CA%d", i),
		CreatedAt: time.Unix(int64(i), 0),
	}
}

func mustCreate(t testing.TB, s call.Store, c *call.Call) {
	t.Helper()
	existing, err := s.Create(context.Background(), c, nil)
	if err != nil || existing != nil {
		t.Fatalf("Create returned %v, %v", existing, err)
	}
}
