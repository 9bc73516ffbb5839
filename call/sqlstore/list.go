package sqlstore

import (
	"strings"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// listQuery returns the query for the records that f.Matches allows, in the
// order of List.
func listQuery(f call.Filter) (query string, args sqldb.Args) {
	var b strings.Builder
	b.WriteString(`SELECT record FROM calls`)
	word := " WHERE "
	and := func(condition string) {
		b.WriteString(word + condition)
		word = " AND "
	}

	if f.Tenant != nil {
		and("tenant = " + args.Add(*f.Tenant))
	}
	if len(f.States) > 0 {
		and("state IN " + sqldb.AddTexts(&args, f.States))
	}
	if len(f.NotOwnedBy) > 0 {
		and("owner NOT IN " + sqldb.AddTexts(&args, f.NotOwnedBy))
	}
	if f.AgentID != "" {
		and("agent_id = " + args.Add(f.AgentID))
	}
	if f.Direction != nil {
		and("direction = " + args.Add(f.Direction.String()))
	}
	if f.Provider != "" {
		and("provider = " + args.Add(f.Provider))
	}
	if !f.Since.IsZero() {
		and("created_at >= " + args.Add(sqldb.Nanos(f.Since)))
	}
	if !f.Until.IsZero() {
		and("created_at < " + args.Add(sqldb.Nanos(f.Until)))
	}
	if p := f.Before; p != nil {
		and("(created_at, id) < (" + args.Add(sqldb.Nanos(p.CreatedAt)) + ", " + args.Add(p.ID) + ")")
	}
	b.WriteString(" ORDER BY created_at DESC, id DESC LIMIT " + args.Add(f.Max()))
	return b.String(), args
}
