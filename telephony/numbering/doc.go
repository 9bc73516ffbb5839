// Package numbering knows the numbering plans of the world: whether a number can
// exist, what kind it is, and what time it may be where it rings.
//
// It stands beside package telephony, which checks the form of numbers only,
// because the plans weigh 7 MB in a program. They are those of Google's
// libphonenumber, as github.com/nyaruka/phonenumbers carries them, and as old as
// its version: a range that was opened since is said not to exist.
//
// All functions may be called by many goroutines at once.
package numbering
