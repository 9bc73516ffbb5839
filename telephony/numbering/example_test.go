package numbering_test

import (
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony/numbering"
)

func ExampleParseLocal() {
	info, err := numbering.ParseLocal("030 901820", "DE")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(info.Number), info.Region, info.Kind, info.Zones)
	// Output:
	// +4930901820 DE fixed [Europe/Berlin]
}
