// Package sqlstore keeps the records of calls in a database: a [Store] is a
// call.Store on SQLite, for one machine and any number of processes on it, or on
// PostgreSQL, for any number of machines.
//
// On SQLite a write that has returned survives the end of the process, however
// it ends. A loss of power or a crash of the machine may take the last writes,
// but leaves a database that opens: SQLite's write-ahead log is not synced at
// each commit. On PostgreSQL it survives what the server is set up for, with its
// defaults a loss of power, too.
//
// What is deleted is overwritten with zeros in SQLite's database file. Earlier
// copies of it may stay in the write-ahead log beside the file until the log is
// folded into it: at the latest when the last process closes the store. On
// PostgreSQL it stays in the server's files until they are vacuumed, and in its
// archives and backups.
//
// Text is kept as UTF-8: a byte that is no part of any comes back as U+FFFD. A
// record whose numbers JSON cannot hold (infinity, or no number), or whose
// CreatedAt does not lie between the years 1678 and 2262, is refused. PostgreSQL
// refuses an id, tenant, agent, carrier or idempotency key that is not UTF-8 or
// has a zero byte; a call under such a name is then not there.
package sqlstore
