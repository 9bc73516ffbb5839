package sqldb

// dialect is what differs between databases. Queries had better not: they keep to
// what SQLite and PostgreSQL share, with $1 for arguments, upserts by ON CONFLICT
// and times as integers.
type dialect struct {
	// name is that of the directory of the schema.
	name string
	// lock is a statement that keeps other processes out until the end of the
	// transaction in which the schema changes. None: every transaction does.
	lock string

	// now is an expression for the time of the database's clock: microseconds since
	// 1970.
	now string

	// taken reports whether a write failed because something unique is another
	// row's.
	taken func(error) bool
	// foreign reports whether a query failed because it names what no row can
	// hold.
	foreign func(error) bool
	// outcome says what a failure means for a second try.
	outcome func(error) outcome
}

// outcome is what became of a statement that failed.
type outcome int

const (
	failed  outcome = iota // and will again
	undone                 // it was not done, and may succeed next time
	unknown                // it may have been done, and nobody was there to tell
)
