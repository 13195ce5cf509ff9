package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cohortkit/cohortkit/identity"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
)

// seed fills the workspace with its users, so that the campaigns meet every case: Braze knows all customers but each eleventh; of the
// visitors without an account it has lost some (devices that begin with 0), and some have signed up since (1 and 2), after which their device no
// longer matches. Each seventh customer has unsubscribed from e-mail.
func seed(workspace *brazetest.Workspace) error {
	customers, devices := make(map[int]bool), make(map[string]bool)
	for _, c := range exported() {
		csv, err := campaigns.ReadFile(c.file)
		if err != nil {
			return err
		}
		for person, err := range people(bytes.NewReader(csv)) {
			if _, broken := errors.AsType[*identity.RejectError](err); broken {
				continue
			} else if err != nil {
				return err
			}
			if n, ok := customer(person); ok {
				customers[n] = true
			} else if len(person.DeviceIDs) > 0 {
				devices[person.DeviceIDs[0]] = true
			}
		}
	}
	for n := range customers {
		if n%11 == 0 {
			continue
		}
		profile := brazetest.Profile{
			ExternalID: fmt.Sprintf("u-%06d", n),
			Aliases:    []brazetest.Alias{{Label: "crm", Name: fmt.Sprintf("c-%05d", n)}},
		}
		if n%7 == 0 {
			profile.EmailSubscription = segment.Unsubscribed
		}
		if _, err := workspace.AddProfile(profile); err != nil {
			return err
		}
	}
	for device := range devices {
		if device[0] == '0' {
			continue
		}
		id, err := workspace.AddProfile(brazetest.Profile{DeviceIDs: []string{device}})
		if err != nil {
			return err
		}
		if device[0] == '1' || device[0] == '2' {
			if _, err := workspace.Identify(id, accountOf(device)); err != nil {
				return err
			}
		}
	}
	return nil
}

// customer returns the customer number of a person: u-002335 and the alias c-02335 are the same customer.
func customer(person identity.Person) (int, bool) {
	text, ok := strings.CutPrefix(person.ExternalID, "u-")
	if !ok && len(person.Aliases) > 0 {
		text, ok = strings.CutPrefix(person.Aliases[0].Name, "c-")
	}
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}
