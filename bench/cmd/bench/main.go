package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/switchboard-voice/switchboard/bench/callecho"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		flags := flag.NewFlagSet("serve", flag.ExitOnError)
		mode := flags.String("mode", "stream", "")
		profile := flags.String("profile", "", "")
		_ = flags.Parse(os.Args[2:])
		if err := callecho.Serve(callecho.Mode(*mode), os.Stdin, os.Stdout, *profile); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
