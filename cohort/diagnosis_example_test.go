package cohort_test

import (
	"context"
	"fmt"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// "I cannot find my cohort." Its export has been renamed since, and the marketer looks for the former name.
func ExampleSyncer_Troubleshoot() {
	importer, braze := newExample()
	defer braze.Close()
	syncer, err := cohort.NewSyncer(importer, ledger.NewMemory(), cohort.WithPartnerName("Tinyclues"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, name := range []string{"Spring sale", "Spring sale, second wave"} {
		if _, err := syncer.Sync(ctx, cohort.Cohort{ID: "camp-481", Name: name}, cohort.People(identity.Rules{}, customers("u-17", "u-18"))); err != nil {
			fmt.Println(err)
			return
		}
	}

	diagnosis, err := syncer.Troubleshoot(ctx, "Spring sale")
	for _, c := range diagnosis.Candidates { // to print the diagnosis itself shows the times too
		fmt.Println(c.CohortID, "has", c.Members, "members; segment:", c.Filter)
		for _, next := range c.Next {
			fmt.Println("next:", next)
		}
	}
	fmt.Println(err)
	diagnosis, err = syncer.Troubleshoot(ctx, "Sprung sale")
	fmt.Println(diagnosis, err)
	// Output:
	// camp-481 has 2 members; segment: Tinyclues Cohorts includes "Spring sale, second wave"
	// next: it was renamed: look for "Spring sale, second wave"
	// next: smaller than the audience: EstimateMatches tells how many members would match, and why the others would not
	// <nil>
	// no cohort of workspace "acme" has the name "Sprung sale" (1 cohort recorded)
	//   next: check the name as it was last sent, the workspace, the partner (Tinyclues) and the ledger; a name that was sent without a ledger is not recorded <nil>
}
