// Package campaign calls many numbers, each in its own hours, at a set pace, and
// as often as it takes and is allowed.
//
// A [Runner] keeps campaigns and their contacts in a [Store] and places the calls
// with a call.Service:
//
//	runner, err := campaign.New(campaign.Config{Service: svc, Store: store, DoNotCall: list})
//	go runner.Run(ctx)
//	runner.Create(ctx, campaign.Spec{ID: "spring", Request: call.Request{AgentID: "reminders", From: ours}})
//	runner.Add(ctx, "spring", []campaign.Contact{{Number: "+12025550142", Data: map[string]string{"name": "Ann"}}})
//	runner.Start(ctx, "spring")
//
// # Once
//
// A contact is claimed in the store before it is dialed, and the call of each
// attempt has an idempotency key that is made of campaign, contact and attempt. So
// whenever a process ends, and however many of them run one campaign on one store,
// an attempt is one call: whoever takes a contact over asks for the same call
// again and is given it, if it was ever placed. Claims run out when nobody renews
// them, and those that were left behind go first, in the order of the contacts.
//
// # When
//
// A contact is called when it is within Spec.Hours in every zone where its number
// may ring (see package numbering), and will be for another minute: a telephone
// rings for a while. A number of which nobody knows where it rings is not called.
// Those who could not be reached are called again after a while that depends on
// why, before those who have not been called yet.
//
// Right before each dial the campaign must still run, the contact must not be on
// the DoNotCall list, and the service asks its own policy.
//
// # Limits
//
// A campaign stops by itself when too many of its last attempts have failed. It
// slows down to one call at a time, or stops, when too many people picked up and
// found nobody there: see [Abandoned].
package campaign
