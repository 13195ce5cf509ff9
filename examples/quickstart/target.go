package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cohortkit/cohortkit/cohort"
	"github.com/cohortkit/cohortkit/segment"
	"github.com/cohortkit/cohortkit/transport/brazetest"
	"github.com/cohortkit/cohortkit/transport/rest"
)

// target builds the segment of a marketer, says who would be in it, and triggers a campaign that has it for its target audience.
func (d *demo) target(ctx context.Context) error {
	d.out.linef("")
	d.out.linef("4. The marketer builds a segment. In the filter %q the drop-down shows:", d.partner.Filter())
	for _, name := range d.workspace.DropDown(d.partner) {
		d.out.linef("   - %s", name)
	}
	readers, err := segment.New(
		segment.And(
			segment.Cohort(d.partner.Name()).Includes(springSale().cohort.Name),
			segment.EmailSubscription().IsNot(segment.Unsubscribed),
		),
		segment.Exclude(segment.Cohort(d.partner.Name()).Includes(winBack().cohort.Name)),
	)
	if err != nil {
		return err
	}
	d.out.linef("   What to click:")
	d.out.linef("")
	d.out.block(readers)
	funnel, err := readers.Funnel(users(d.workspace), time.Now())
	if err != nil {
		return err
	}
	d.out.linef("")
	d.out.linef("   Who that is:")
	d.out.linef("")
	d.out.block(funnel)

	campaignID := d.workspace.AddCampaign("Spring is here", brazetest.TargetSegment(d.workspace.AddSegment("Spring sale readers", readers)))
	client, err := rest.New(d.client, d.workspace.GenerateRESTKey("campaigns.trigger.send"))
	if err != nil {
		return err
	}
	if _, err := client.TriggerCampaign(ctx, campaignID, rest.ToEveryone()); err != nil {
		return err
	}
	reached := len(d.workspace.Sends()[0].Reached)
	d.out.linef("")
	d.out.linef("   A campaign with this target audience is triggered, and reaches %d users.", reached)
	if reached != funnel.Matched || reached == 0 {
		return fmt.Errorf("the campaign reached %d users, and the segment has %d", reached, funnel.Matched)
	}
	return nil
}

// users are the users of a workspace as a segment sees them, which only the fake can tell.
func users(workspace *brazetest.Workspace) iter.Seq2[*segment.Profile, error] {
	return func(yield func(*segment.Profile, error) bool) {
		for _, p := range workspace.Profiles() {
			if user, ok := workspace.View(p.BrazeID); ok && !yield(&user, nil) {
				return
			}
		}
	}
}

// sampled is how many members are looked up. At the endpoint's pace a device takes a fortieth of a second.
const sampled = 120

// estimate asks why a cohort is smaller than its list. With a REST key of the customer's anybody can, not only the fake.
func (d *demo) estimate(ctx context.Context) error {
	d.out.linef("")
	d.out.linef("5. Why is the cohort smaller than the list? Some of its members, drawn at random, are looked up through the customer's REST key.")
	client, err := rest.New(d.client, d.workspace.GenerateRESTKey("users.export.ids"))
	if err != nil {
		return err
	}
	estimate, err := d.syncer.EstimateMatches(ctx, springSale().cohort.ID, client, cohort.SampleSize(sampled))
	if err != nil {
		return err
	}
	d.out.linef("")
	d.out.block(estimate)
	return nil
}
