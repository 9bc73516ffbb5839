package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/schedule"
	calls "github.com/switchboard-voice/switchboard/call/sqlstore"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/telephony"
)

// What a process of this test that is to be killed is told: where the carrier
// writes down its dials, and the address of the database.
const (
	victimEnv   = "SCHEDULE_TEST_VICTIM"
	databaseEnv = "SCHEDULE_TEST_DATABASE"
)

// ledger is a carrier that writes down which numbers it was asked to dial, and
// reaches none of them.
type ledger struct {
	call.Provider
	file *os.File
}

func (l *ledger) Name() string { return "ledger" }

func (l *ledger) Dial(_ context.Context, req *telephony.DialRequest) (string, error) {
	if _, err := fmt.Fprintln(l.file, string(req.To)); err != nil {
		return "", err
	}
	return "", &telephony.Error{Provider: "ledger", Op: "dial", Outcome: telephony.Rejected, Reason: telephony.ErrRefused}
}

func (l *ledger) Hangup(context.Context, string) error { return nil }

// victim places the calls of the schedules in a database until all are done, or
// it is killed.
func victim(dials, address string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	svc, closeCalls, err := service(ctx, dials, address)
	if err != nil {
		return err
	}
	store, err := Open(ctx, address)
	if err != nil {
		return err
	}
	s, err := schedule.New(schedule.Config{Service: svc, Store: store, Timeout: timeout, Logger: quiet})
	if err != nil {
		return err
	}
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	for ticker := time.NewTicker(20 * time.Millisecond); ; <-ticker.C {
		left, err := store.List(ctx, schedule.Filter{States: []schedule.State{schedule.Active}, Limit: 1})
		if err != nil {
			return err
		}
		if len(left) == 0 {
			break
		}
	}
	cancel()
	<-ran
	return errors.Join(svc.Shutdown(context.Background()), closeCalls(), store.Close())
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// timeout is that of the victims: a third more is how long the occurrences wait
// that one has claimed who was killed.
const timeout = 3 * time.Second

func service(ctx context.Context, path, address string) (*call.Service, func() error, error) {
	store, err := calls.Open(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	dials, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	svc, err := call.New(call.Config{
		PublicURL: "https://calls.test/phone/",
		Providers: []call.Provider{&ledger{file: dials}},
		Agents:    call.Agents{"reminders": call.AgentFunc(func(context.Context, *call.Session) error { return nil })},
		Store:     store,
		Logger:    quiet,
	})
	return svc, func() error { return errors.Join(store.Close(), dials.Close()) }, err
}

// Around the times of many calls the processes that place them are killed again
// and again. Each occurrence has one call, and none was dialed twice. One whose
// process was killed between the two has a call that was never dialed, since
// nobody can know that it was not.
func TestKilledSchedulerDialsOnce(t *testing.T) {
	for _, tt := range []struct {
		name     string
		replicas int
		database func(t *testing.T) string
	}{
		{"SQLite", 1, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "switchboard.db") }},
		{"two replicas on SQLite", 2, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "switchboard.db") }},
		{"two replicas on PostgreSQL", 2, func(t *testing.T) string { return pgtest.Start(t).Schema(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) { testKilled(t, tt.replicas, tt.database(t)) })
	}
}

func testKilled(t *testing.T, replicas int, address string) {
	schedules, kills := 120, 12
	if testing.Short() {
		schedules, kills = 30, 3
	}
	dials := filepath.Join(t.TempDir(), "dials")
	store := mustOpen(t, address)
	s, err := schedule.New(schedule.Config{Service: new(call.Service), Store: store})
	if err != nil {
		t.Fatal(err)
	}
	now := schedule.LocalOf(time.Now().UTC()).String()
	first, err := time.Parse("2006-01-02T15:04:05", now)
	if err != nil {
		t.Fatal(err)
	}
	for n := range schedules {
		at, err := schedule.ParseLocal(first.Add(time.Duration(1+n*8/schedules) * time.Second).Format(time.DateTime))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(t.Context(), schedule.Spec{
			ID: fmt.Sprint("s", n), At: at, Zone: "UTC",
			Request: call.Request{AgentID: "reminders", From: "+12025550100", To: telephony.Number(fmt.Sprintf("+1202555%04d", n))},
		}); err != nil {
			t.Fatal(err)
		}
	}
	var victims sync.WaitGroup
	var killed atomic.Int64
	for range replicas {
		victims.Go(func() {
			for range kills / replicas {
				if run(t, dials, address, time.Duration(100+rand.IntN(700*replicas))*time.Millisecond) {
					return
				}
				killed.Add(1)
			}
			if !run(t, dials, address, time.Minute) {
				t.Error("not all schedules were seen to")
			}
		})
	}
	victims.Wait()

	dialed, err := os.ReadFile(dials)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for number := range strings.Lines(string(dialed)) {
		count[strings.TrimSpace(number)]++
	}
	records, err := calls.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	list, err := records.List(t.Context(), call.Filter{Limit: 1000})
	if err := errors.Join(err, records.Close()); err != nil {
		t.Fatal(err)
	}
	if len(list) != schedules {
		t.Errorf("%d calls for %d occurrences", len(list), schedules)
	}
	undialed := 0
	for n := range schedules {
		number := fmt.Sprintf("+1202555%04d", n)
		switch count[number] {
		case 1:
		case 0:
			undialed++
		default:
			t.Errorf("schedule %d was dialed %d times", n, count[number])
		}
		results, err := store.Results(t.Context(), fmt.Sprint("s", n))
		if err != nil || len(results) != 1 || results[0].Outcome != schedule.Placed {
			t.Errorf("schedule %d: %+v, %v", n, results, err)
		}
	}
	t.Logf("%d occurrences, %d kills: %d calls, %d dials, 0 twice, 0 missed, %d killed between call and dial",
		schedules, killed.Load(), len(list), len(count), undialed)
	if undialed > int(killed.Load())*16 {
		t.Errorf("%d calls were not dialed", undialed)
	}
}

// run runs a victim for so long and kills it. It reports true if all was done
// before. It may be called by several goroutines at once.
func run(t *testing.T, dials, address string, limit time.Duration) (done bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+dials, databaseEnv+"="+address)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if ctx.Err() == nil && err != nil {
		t.Errorf("the victim failed: %v\n%s", err, &stderr)
	}
	return err == nil
}
