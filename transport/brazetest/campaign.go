package brazetest

// campaign is a campaign or a Canvas that the API can trigger, guarded by the workspace's lock.
type campaign struct {
	id, name  string
	operation Operation // that triggers it
	targets   []*savedSegment
	archived  bool
	paused    bool
	scheduled bool // not to be triggered at all

	wanted []string // the IDs of the targets
}

// CampaignOption changes what [Workspace.AddCampaign] and [Workspace.AddCanvas] make.
type CampaignOption interface{ applyCampaign(*campaign) }

type campaignOption func(*campaign)

func (o campaignOption) applyCampaign(c *campaign) { o(c) }

// TargetSegment restricts the campaign or Canvas to the members of a segment: its target audience in the dashboard, which a
// recipient named in a request must be in too. Given several times, a user must be in all of the segments; an Or of them belongs
// in one segment. Default: everyone.
func TargetSegment(id string) CampaignOption {
	return campaignOption(func(c *campaign) { c.wanted = append(c.wanted, id) })
}

// Archived makes the campaign or Canvas an archived one: triggering it is accepted and reaches nobody. A Canvas says so in the
// notice of its answer. What a campaign answers is undocumented; here it has no notice.
func Archived() CampaignOption { return campaignOption(func(c *campaign) { c.archived = true }) }

// Paused is as [Archived], for a campaign or Canvas that is stopped.
func Paused() CampaignOption { return campaignOption(func(c *campaign) { c.paused = true }) }

// Scheduled makes the campaign or Canvas one that is not triggered by the API, so that triggering it is a 400 "Invalid Campaign ID".
func Scheduled() CampaignOption { return campaignOption(func(c *campaign) { c.scheduled = true }) }

// AddCampaign makes an API-triggered campaign and returns its ID, an opaque text. The name is for people. A target that is no
// segment of the workspace ends the test, or panics for a server made by [Start].
func (w *Workspace) AddCampaign(name string, opts ...CampaignOption) (id string) {
	return w.addCampaign(&campaign{name: name, operation: TriggerCampaign}, opts)
}

// AddCanvas makes an API-triggered Canvas, as [Workspace.AddCampaign] does a campaign.
func (w *Workspace) AddCanvas(name string, opts ...CampaignOption) (id string) {
	return w.addCampaign(&campaign{name: name, operation: TriggerCanvas}, opts)
}

func (w *Workspace) addCampaign(c *campaign, opts []CampaignOption) string {
	for _, o := range opts {
		o.applyCampaign(c)
	}
	w.mu.Lock()
	for _, id := range c.wanted {
		if s := w.segmentWith(id); s != nil {
			c.targets = append(c.targets, s)
			c.archived = c.archived || s.archived
		}
	}
	c.id = w.opaqueID("campaign", len(w.campaigns))
	w.campaigns = append(w.campaigns, c)
	w.mu.Unlock()
	if len(c.targets) < len(c.wanted) {
		w.server.fatalf("brazetest: add %q: a target is no segment of the workspace: use the ID that AddSegment returned", c.name)
	}
	return c.id
}

// campaign finds the campaign or Canvas that a field of the body names, for the operation that triggers it.
func (c *call) campaign(field string, operation Operation) *campaign {
	id := c.body.need(field)
	c.workspace.mu.RLock()
	defer c.workspace.mu.RUnlock()
	found := firstWhere(c.workspace.campaigns, func(k *campaign) bool { return k.id == id && k.operation == operation })
	if found == nil && id != "" || found != nil && found.scheduled {
		c.problemf("Invalid Campaign ID")
		return nil
	}
	return found
}
