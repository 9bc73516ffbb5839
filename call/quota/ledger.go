package quota

import (
	"context"
	"errors"
	"math"
	"sync"
)

// Ledger keeps what is reserved and spent, by tenant and period. Its methods may
// be used by many goroutines at once.
//
// A Ledger in a database caps what all replicas spend together, and lasts. It has
// three numbers of each tenant and period to add up, at most, and does it in one
// transaction:
//
//	UPDATE spent SET amount = amount + $1 WHERE period = $2 AND tenant = $3 AND amount + $1 <= $4
type Ledger interface {
	// Reserve adds e.Amount to what its tenant, and all tenants, have spent in its
	// period, unless either would then be more than its cap: then it adds nothing,
	// and the error wraps ErrCap. After any other error nothing is reserved, or
	// nobody knows.
	Reserve(ctx context.Context, e Entry, caps Caps) error
	// Settle puts what a leg has cost in the place of what e reserved, which may be
	// more or less, whatever the caps. It is called once for each entry.
	Settle(ctx context.Context, e Entry, cost Amount) error
}

// Entry is a reservation in a Ledger.
type Entry struct {
	CallID string // for the host's books: several legs may be of one call
	Tenant string
	Period string // such as "2026-01-31", or "2026-01"
	Amount Amount
}

// Caps are what may be spent in a period: by the tenant, and by all of them.
type Caps struct{ Tenant, Total Amount }

// NoCap is a cap that is never reached.
const NoCap = Amount(math.MaxInt64)

// ErrCap tells that more would be spent than may be.
var ErrCap = errors.New("quota: spend cap")

// MemoryLedger is a Ledger of one process. What it knows of a period is forgotten
// when another one has begun and its last leg is settled.
type MemoryLedger struct {
	mu      sync.Mutex // guards what follows
	periods map[string]*period
}

// period is what was spent in one.
type period struct {
	open  int // entries that are not settled
	total Amount
	by    map[string]Amount
}

// NewMemoryLedger returns a ledger in which nothing is spent.
func NewMemoryLedger() *MemoryLedger { return &MemoryLedger{periods: make(map[string]*period)} }

// Reserve adds an entry, unless that would be more than a cap.
func (l *MemoryLedger) Reserve(_ context.Context, e Entry, caps Caps) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.periods[e.Period]
	if p == nil {
		l.forget()
		p = &period{by: make(map[string]Amount)}
		l.periods[e.Period] = p
	}
	if e.Amount > caps.Tenant-p.by[e.Tenant] || e.Amount > caps.Total-p.total {
		return ErrCap
	}
	p.open++
	p.add(e.Tenant, e.Amount)
	return nil
}

// Settle puts the cost of a leg in the place of what was reserved for it.
func (l *MemoryLedger) Settle(_ context.Context, e Entry, cost Amount) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.periods[e.Period]; p != nil {
		p.open--
		p.add(e.Tenant, cost-e.Amount)
	}
	return nil
}

func (p *period) add(tenant string, amount Amount) {
	p.total += amount
	p.by[tenant] += amount
}

// forget removes the periods in which nothing is open: another one has begun. The
// caller holds mu.
func (l *MemoryLedger) forget() {
	for name, p := range l.periods {
		if p.open == 0 {
			delete(l.periods, name)
		}
	}
}

// Spent is what a tenant, and all of them, have spent or reserved in a period.
func (l *MemoryLedger) Spent(periodName, tenant string) (ofTenant, total Amount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.periods[periodName]
	if p == nil {
		return 0, 0
	}
	return p.by[tenant], p.total
}
