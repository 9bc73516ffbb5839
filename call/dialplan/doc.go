// Package dialplan decides what may be dialed, by what the numbering plans say
// about a number: a [Policy] is a call.Policy that refuses numbers that do not
// exist or that cost too much, and that keeps to the hours in which people want
// to be called where they are.
//
// Set it as call.Config.Policy, alone or with call.Policies beside others, such
// as call.Destinations for prefixes of one's own. It stands in a package of its
// own because the plans weigh 7 MB in a program.
package dialplan
