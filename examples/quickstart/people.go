package main

import (
	"encoding/csv"
	"errors"
	"io"
	"iter"

	"github.com/cohortkit/cohortkit/identity"
)

// people reads an audience. A row that is no record of three columns is rejected and the reading goes on; an error of the file ends it.
func people(file io.Reader) iter.Seq2[identity.Person, error] {
	return func(yield func(identity.Person, error) bool) {
		rows := csv.NewReader(file)
		rows.FieldsPerRecord = 3
		rows.ReuseRecord = true
		if _, err := rows.Read(); err != nil { // the header
			yield(identity.Person{}, err)
			return
		}
		for {
			row, err := rows.Read()
			if err == io.EOF {
				return
			}
			if _, broken := errors.AsType[*csv.ParseError](err); broken {
				err = &identity.RejectError{Field: "row", Reason: identity.ReasonUnreadable}
			}
			var person identity.Person
			if err == nil {
				person = personOf(row[0], row[1], row[2])
			}
			if !yield(person, err) {
				return
			}
		}
	}
}

func personOf(externalID, crmID, deviceID string) identity.Person {
	person := identity.Person{ExternalID: externalID}
	if crmID != "" {
		person.Aliases = []identity.Alias{{Label: "crm", Name: crmID}}
	}
	if deviceID != "" {
		person.DeviceIDs = []string{deviceID}
	}
	return person
}
