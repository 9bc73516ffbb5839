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
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/schedule"
	calls "github.com/switchboard-voice/switchboard/call/sqlstore"
	"github.com/switchboard-voice/switchboard/telephony"
)

const victimEnv = "SCHEDULE_TEST_VICTIM"

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

// victim places the calls of the schedules in dir until all are done, or it is
// killed.
func victim(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	svc, closeCalls, err := service(ctx, dir)
	if err != nil {
		return err
	}
	store, err := Open(ctx, "sqlite:"+filepath.Join(dir, "switchboard.db"))
	if err != nil {
		return err
	}
	s, err := schedule.New(schedule.Config{Service: svc, Store: store, Logger: quiet})
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

func service(ctx context.Context, dir string) (*call.Service, func() error, error) {
	store, err := calls.Open(ctx, "sqlite:"+filepath.Join(dir, "switchboard.db"))
	if err != nil {
		return nil, nil, err
	}
	dials, err := os.OpenFile(filepath.Join(dir, "dials"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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

// Around the times of many calls the process is killed again and again. Each
// occurrence has one call, and none was dialed twice. One that was killed between
// the two has a call that was never dialed, since nobody can know that it was not.
func TestKilledSchedulerDialsOnce(t *testing.T) {
	schedules, kills := 120, 12
	if testing.Short() {
		schedules, kills = 30, 3
	}
	dir := t.TempDir()
	store := mustOpen(t, "sqlite:"+filepath.Join(dir, "switchboard.db"))
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
	for range kills {
		if done := run(t, dir, time.Duration(100+rand.IntN(700))*time.Millisecond); done {
			break
		}
	}
	if !run(t, dir, time.Minute) {
		t.Fatal("not all schedules were seen to")
	}

	dialed, err := os.ReadFile(filepath.Join(dir, "dials"))
	if err != nil {
		t.Fatal(err)
	}
	dials := make(map[string]int)
	for number := range strings.Lines(string(dialed)) {
		dials[strings.TrimSpace(number)]++
	}
	records, err := calls.Open(t.Context(), "sqlite:"+filepath.Join(dir, "switchboard.db"))
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
		switch dials[number] {
		case 1:
		case 0:
			undialed++
		default:
			t.Errorf("schedule %d was dialed %d times", n, dials[number])
		}
		results, err := store.Results(t.Context(), fmt.Sprint("s", n))
		if err != nil || len(results) != 1 || results[0].Outcome != schedule.Placed {
			t.Errorf("schedule %d: %+v, %v", n, results, err)
		}
	}
	t.Logf("%d occurrences, %d calls, %d dials, 0 twice, %d killed between call and dial", schedules, len(list), len(dials), undialed)
	if undialed > kills*16 {
		t.Errorf("%d calls were not dialed", undialed)
	}
}

// run runs a victim for so long and kills it. It reports true if all was done
// before.
func run(t *testing.T, dir string, limit time.Duration) (done bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if ctx.Err() == nil && err != nil {
		t.Fatalf("the victim failed: %v\n%s", err, &stderr)
	}
	return err == nil
}
