package text_test

import (
	"fmt"

	"github.com/cohortkit/cohortkit/internal/text"
)

func ExampleCheck() {
	for _, s := range []string{"u-17", "", "u-17\n"} {
		if fault := text.Check(s); fault != text.None {
			fmt.Printf("the external ID %v: %s\n", fault, fault.Next())
		}
	}
	// Output:
	// the external ID must not be empty: give it a value
	// the external ID holds a control character: strip line breaks and other control characters where the value is read
}
