package sqlstore

import (
	"fmt"
	"strings"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// listQuery returns the query for the records that f.Matches allows, in the
// order of List.
func listQuery(f call.Filter) (query string, args []any) {
	var b strings.Builder
	b.WriteString(`SELECT record FROM calls`)
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	word := " WHERE "
	and := func(condition string) {
		b.WriteString(word + condition)
		word = " AND "
	}

	if f.Tenant != nil {
		and("tenant = " + arg(*f.Tenant))
	}
	if len(f.States) > 0 {
		states := make([]string, len(f.States))
		for i, state := range f.States {
			states[i] = arg(state.String())
		}
		and("state IN (" + strings.Join(states, ", ") + ")")
	}
	if len(f.NotOwnedBy) > 0 {
		owners := make([]string, len(f.NotOwnedBy))
		for i, owner := range f.NotOwnedBy {
			owners[i] = arg(owner)
		}
		and("owner NOT IN (" + strings.Join(owners, ", ") + ")")
	}
	if f.AgentID != "" {
		and("agent_id = " + arg(f.AgentID))
	}
	if f.Direction != nil {
		and("direction = " + arg(f.Direction.String()))
	}
	if f.Provider != "" {
		and("provider = " + arg(f.Provider))
	}
	if !f.Since.IsZero() {
		and("created_at >= " + arg(sqldb.Nanos(f.Since)))
	}
	if !f.Until.IsZero() {
		and("created_at < " + arg(sqldb.Nanos(f.Until)))
	}
	if p := f.Before; p != nil {
		and("(created_at, id) < (" + arg(sqldb.Nanos(p.CreatedAt)) + ", " + arg(p.ID) + ")")
	}
	b.WriteString(" ORDER BY created_at DESC, id DESC LIMIT " + arg(f.Max()))
	return b.String(), args
}
