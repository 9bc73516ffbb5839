// Package telephony holds the words of the telephone network and the contract
// between a call and the carrier that places it: numbers, directions, statuses,
// webhooks, answers and errors.
//
// It depends on the standard library only and knows nothing of audio. A carrier
// is an implementation of [Provider]; see the packages below this one.
package telephony
