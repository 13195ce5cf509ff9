package rest

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cohortkit/cohortkit/identity"
)

// lookupsInFlight is enough for [ExportsPerSecond] at a round trip of 200 ms.
const lookupsInFlight = 8

// lookupFields is what matching needs, and what tells one profile from another.
var lookupFields = [...]Field{FieldExternalID, FieldUserAliases, FieldBrazeID, FieldDevices}

// LookUp returns the profiles of all users with any of these identifiers, each profile once, with what matching needs and nothing else. An identifier
// that nobody has yields none.
//
// It takes any number of identifiers and asks for 50 external IDs and aliases in a request, but for one device ID only, as the endpoint demands: at
// the documented limit of 40 requests a second, 2,000 external IDs or aliases, or 40 devices. Several requests are under way at once. All identifiers
// and profiles are held in memory.
//
// An external ID that was renamed still leads to its user. That the export then names the new one alone is undocumented, and taken to be so: one that
// an answer neither names as unknown nor shows on a user is therefore asked for by itself, and the profile then lists it as a former external ID.
// Where an answer names nobody as unknown, that is done only if it brings a user who was not asked for.
//
// The key needs the permission users.export.ids. An error means that the answer would be incomplete, and none is returned. Errors are an
// [*InvalidError] for an identifier that cannot be sent, before anything is, and those of [transport.Client.Do].
func (c *Client) LookUp(ctx context.Context, ids []identity.ID) ([]identity.Profile, error) {
	requests, err := lookups(ids)
	if err != nil {
		return nil, err
	}
	found := make([][]User, len(requests))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookupsInFlight)
	for i, request := range requests {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			users, err := c.lookUp(gctx, request)
			found[i] = users
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("rest: look up users: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("rest: look up users: %w", err)
	}
	return profiles(found), nil
}

// lookups divides the identifiers into requests.
func lookups(ids []identity.ID) ([][]identity.ID, error) {
	seen := make(map[identity.ID]bool, len(ids))
	var named, devices []identity.ID
	for i, id := range ids {
		if err := checkID(fmt.Sprintf("IDs[%d]", i), id); err != nil {
			return nil, err
		}
		switch {
		case seen[id]:
		case id.Kind() == identity.DeviceIDKind:
			devices = append(devices, id)
		default:
			named = append(named, id)
		}
		seen[id] = true
	}
	return slices.Collect(func(yield func([]identity.ID) bool) {
		for chunk := range slices.Chunk(named, MaxRecipients) {
			yield(chunk)
		}
		for i := range devices {
			yield(devices[i : i+1])
		}
	}), nil
}

// lookUp performs one request of a look-up, and those that it gives rise to.
func (c *Client) lookUp(ctx context.Context, ids []identity.ID) ([]User, error) {
	body, err := idsBody(ids)
	if err != nil {
		return nil, err
	}
	body.Fields = lookupFields[:]
	got, err := c.export(ctx, body)
	if err != nil {
		return nil, err
	}
	if body.DeviceID != "" {
		for i := range got.Users {
			// The endpoint found it by the device, so it has it, under whichever name the export lists devices.
			if !slices.Contains(got.Users[i].DeviceIDs, body.DeviceID) {
				got.Users[i].DeviceIDs = append(got.Users[i].DeviceIDs, body.DeviceID)
			}
		}
		return got.Users, nil
	}
	return c.renamed(ctx, body, got)
}

// renamed adds to the users found the external IDs that they had before they were renamed.
func (c *Client) renamed(ctx context.Context, body exportBody, got Export) ([]User, error) {
	users := got.Users
	if got.Unknown == nil && !slices.ContainsFunc(users, body.isStranger) { // then it may not list who is unknown
		return users, nil
	}
	for _, id := range body.ExternalIDs {
		if slices.Contains(got.Unknown, id) || slices.ContainsFunc(users, func(u User) bool { return u.ExternalID == id }) {
			continue
		}
		alone := got
		if len(body.ExternalIDs)+len(body.Aliases) > 1 {
			var err error
			if alone, err = c.export(ctx, exportBody{ExternalIDs: []string{id}, Fields: body.Fields}); err != nil {
				return nil, err
			}
		}
		for _, u := range alone.Users {
			if u.ExternalID != id {
				u.DeprecatedExternalIDs = []string{id}
			}
			users = append(users, u)
		}
	}
	return users, nil
}

// isStranger reports whether the request did not name the identified user by any identifier that the user has now.
func (b *exportBody) isStranger(u User) bool {
	return u.ExternalID != "" && !slices.Contains(b.ExternalIDs, u.ExternalID) &&
		!slices.ContainsFunc(b.Aliases, func(a aliasBody) bool {
			return slices.Contains(u.Aliases, identity.Alias{Label: a.Label, Name: a.Name})
		})
}

// profiles makes one of the profiles that several identifiers led to.
func profiles(found [][]User) []identity.Profile {
	type name struct{ brazeID, externalID string }
	var all []identity.Profile
	at := make(map[name]int)
	for _, users := range found {
		for _, u := range users {
			n := name{brazeID: u.BrazeID}
			if u.BrazeID == "" {
				n.externalID = u.ExternalID
			}
			i, known := at[n]
			if !known || n == (name{}) {
				at[n] = len(all)
				all = append(all, u.Profile.Profile)
				continue
			}
			all[i].DeviceIDs = union(all[i].DeviceIDs, u.DeviceIDs)
			all[i].DeprecatedExternalIDs = union(all[i].DeprecatedExternalIDs, u.DeprecatedExternalIDs)
		}
	}
	return all
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
