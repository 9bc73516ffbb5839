package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/sqlstore"
)

// A Store is given to call.Config.Store. What is in it outlives the process.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	address := "sqlite:" + filepath.Join(dir, "calls.db")

	store, err := sqlstore.Open(ctx, address)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Create(ctx, &call.Call{ID: "call_1", AgentID: "echo", CreatedAt: time.Now(), Version: 1}, nil)
	fmt.Println("created:", err)
	fmt.Println("closed:", store.Close())

	if store, err = sqlstore.Open(ctx, address); err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	c, err := store.Get(ctx, "call_1")
	fmt.Println(c.AgentID, c.State, err)
	// Output:
	// created: <nil>
	// closed: <nil>
	// echo initiated <nil>
}
