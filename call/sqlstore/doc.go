// Package sqlstore keeps the records of calls in a database: a [Store] is a
// call.Store on SQLite, for one machine and any number of processes on it.
//
// A write that has returned survives the end of the process, however it ends. A
// loss of power or a crash of the machine may take the last writes, but leaves a
// database that opens: SQLite's write-ahead log is not synced at each commit.
//
// What is deleted is overwritten with zeros in the database file. Earlier copies
// of it may stay in the write-ahead log beside the file until the log is folded
// into it: at the latest when the last process closes the store.
//
// Text is kept as UTF-8: a byte that is no part of any comes back as U+FFFD. A
// record whose numbers JSON cannot hold (infinity, or no number), or whose
// CreatedAt does not lie between the years 1678 and 2262, is refused.
package sqlstore
