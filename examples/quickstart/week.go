package main

import (
	"fmt"
	"io"
	"iter"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// joiners is how many customers join each audience within the week.
const joiners = 40

// weekLater is an audience as it is a week later: some customers have left it, others have joined, and some visitors have signed up, so that
// they are known by more than their device.
func weekLater(people iter.Seq2[identity.Person, error]) iter.Seq2[identity.Person, error] {
	return func(yield func(identity.Person, error) bool) {
		for person, err := range people {
			if err == nil {
				if n, ok := customer(person); ok && n%20 == 7 {
					continue // left
				}
				if device, ok := signsUp(person); ok {
					person.ExternalID = accountOf(device)
				}
			}
			if !yield(person, err) {
				return
			}
		}
		for n := range joiners {
			if !yield(identity.Person{ExternalID: joiner(n)}, nil) {
				return
			}
		}
	}
}

// peopleWeekLater reads an audience as it is a week later.
func peopleWeekLater(file io.Reader) iter.Seq2[identity.Person, error] {
	return weekLater(people(file))
}

func joiner(n int) string { return fmt.Sprintf("u-9%05d", n) }

// signsUp returns the device of a visitor who signs up within the week.
func signsUp(person identity.Person) (device string, ok bool) {
	if person.ExternalID != "" || len(person.Aliases) > 0 || len(person.DeviceIDs) == 0 {
		return "", false
	}
	device = person.DeviceIDs[0]
	return device, device != "" && device[0] == '3'
}

// accountOf is the external ID that the visitor of a device gets by signing up.
func accountOf(device string) string { return "signed-up-" + device }

// passWeek lets the same week pass in the workspace: visitors sign up, and customers come in.
func passWeek(workspace *brazetest.Workspace) error {
	for _, p := range workspace.Profiles() {
		person := identity.Person{ExternalID: p.ExternalID, DeviceIDs: p.DeviceIDs}
		if device, ok := signsUp(person); ok {
			if _, err := workspace.Identify(p.BrazeID, accountOf(device)); err != nil {
				return err
			}
		}
	}
	for n := range joiners {
		if _, err := workspace.AddProfile(brazetest.Profile{ExternalID: joiner(n)}); err != nil {
			return err
		}
	}
	return nil
}
