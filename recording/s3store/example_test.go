package s3store_test

import (
	"context"
	"log"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/recording/s3store"
)

// Calls are recorded to a directory, and brought to a bucket when they are over.
// The bucket may be away meanwhile, and the process end.
func ExampleStorage() {
	spool := &recording.Spool{
		Local:  &recording.Dir{Path: "/var/spool/switchboard"},
		Remote: &s3store.Storage{Bucket: "acme-calls", Prefix: "voice", Encryption: s3store.SSES3},
	}
	if err := spool.Start(); err != nil {
		log.Print(err)
		return
	}
	defer spool.Close(context.Background())
	cfg := call.Config{Recorder: &recording.WAV{Storage: spool}}
	_ = cfg // with all else that call.New needs
}
