package cohort

import "time"

// progressRows is after how many rows a run that is still reading tells how far it is.
const progressRows = 1 << 16

// Progress is a moment of a run.
//
// Apply sends while it reads, so how much is still to come is not known: Changes and Left are 0. A [Syncer] first reads its whole source, and
// while it does so everything but CohortID and Rows is 0; then it sends.
type Progress struct {
	CohortID string        // the cohort of the run
	Rows     int           // rows read, by Apply when a request was last begun
	Changes  int           // changes to be sent in total, 0 where that is not known
	Accepted int           // changes that the endpoint accepted so far
	Requests int           // requests of changes made so far, repeats included
	Rate     float64       // changes accepted in a second, on average since the first of them was sent
	Left     time.Duration // how long the rest will take at that rate, 0 where that is not known
}

// estimate fills in the rate and the time left.
func (p *Progress) estimate(sending time.Duration) {
	if sending <= 0 || p.Accepted == 0 {
		return
	}
	p.Rate = float64(p.Accepted) / sending.Seconds()
	if rest := p.Changes - p.Accepted; rest > 0 {
		p.Left = time.Duration(float64(rest) / p.Rate * float64(time.Second))
	}
}

// tell hands progress to everybody who asked for it.
func (c *runConfig) tell(p Progress) {
	for _, f := range c.onProgress {
		f(p)
	}
}
