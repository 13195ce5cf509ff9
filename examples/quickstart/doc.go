// Quickstart exports audiences into Braze cohorts.
//
// Without arguments it plays the whole story against the in-memory fake, in this process: a customer generates a data import key, the
// partner checks it and exports two campaigns, and the fake tells what Braze would not, namely who was matched and who was skipped. The marketer builds a
// segment with one of the cohorts, and a campaign is triggered for it. A week later the
// audiences have changed, and only the difference goes out.
//
//	go run ./examples/quickstart
//
// With an endpoint it exports one file to it, and remembers in the folder -state what it sent, so that the next run with the same cohort sends only
// what has changed. The keys come from the environment:
//
//	export COHORTKIT_PARTNER_KEY=… COHORTKIT_IMPORT_KEY=…
//	go run ./examples/quickstart -endpoint EU-01 -partner tinyclues -workspace acme -cohort "camp-481=Spring sale" -file audience.csv
//
// The file has the columns external_id, crm_id and device_id; crm_id is sent as the alias of label "crm".
package main
