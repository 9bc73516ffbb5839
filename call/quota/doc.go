// Package quota has policies that bound how much is called: how many calls at
// once, how many in a short time, and for how much money, by tenant and in all.
//
// Put them behind those that ask whether a number may be called at all:
//
//	call.Policies(dialplan.Policy{}, call.DoNotCall(list), &quota.Rate{...}, &quota.Calls{...}, &quota.Spend{...})
//
// Each is asked about every leg: calls that are placed, by whomever, the far ends
// of transfers, and what a backup dials. Calls that come in are not legs; see
// call.Config.MaxCalls for how many calls a process takes in all.
//
// Calls and Rate count in memory, one process by itself: of three replicas each
// lets through what one does, so give each a third. After a restart they begin
// anew, while calls of before the restart are being ended. Spend counts in a
// Ledger, which may be shared and may last; see there.
package quota
