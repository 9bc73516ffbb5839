// Package schedule places calls at times that are given in advance: once, or by
// a cron expression, as the clocks of a place show them.
//
// A [Scheduler] keeps schedules in a [Store] and places their calls with a
// call.Service. Each occurrence has a name, its schedule's id and the date and
// time that the rule states; under this name, as its idempotency key, the call is
// placed. So no occurrence is dialed twice, whenever the process ends and starts
// again.
//
// Several schedulers may share a store, on many machines: see [Scheduler].
//
// # Clocks that change
//
// What a rule states are readings of a clock on the wall, and each of them
// happens once:
//
//   - A time that clocks skip comes as late as if they had not been put forward:
//     02:30 when they show 03:30. If the rule states that time too, there is one
//     call, not two. Never is a call placed too early.
//   - A time that clocks show twice is the first of the two.
//
// So a rule for each hour makes 23 calls on the day on which clocks are put
// forward, 24 on the one on which they are put back.
//
// What counts is what the clock of the machine shows. If it is set forward, calls
// come late, or are missed; if it is set back, they do not come again.
package schedule
