// Package queue lets callers wait until an agent is free.
//
// A [Desk] has queues and agents. A queue is an agent of package call like any
// other, to which calls are routed and handed over: it lets its caller hear music,
// tells the position, and gives the call to the agent who gets free first, by
// Session.HandOver. While somebody is free, nobody waits. Callers may leave by a
// key, or be called back when their turn comes.
//
// Places and the calls that agents have are in a [Store]. Several services that
// share one have one line: a place is given to an agent once, and an agent has no
// more calls than agreed, wherever they came in. What was held by a process that
// has died is given up after Config.Lease; the places of those who wait to be called
// back are not lost.
package queue
