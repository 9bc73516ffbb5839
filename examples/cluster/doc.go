// Package cluster is two servers that are one to the outside: they share a
// PostgreSQL database and an S3 bucket, and a balancer sends callers to either.
// What a server has is its own until it dies; then the other one settles it.
//
//	docker compose -f examples/cluster/compose.yaml up
//
// starts them with all that they need, at http://localhost:8010, and server.env
// is what they are told. The test beside this file does the same with the same
// file, kills one of them during a call, and looks at what becomes of the other's.
package cluster
