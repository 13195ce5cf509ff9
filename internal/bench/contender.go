package main

// contender is a way to bring a cohort in step.
type contender struct {
	short string // how flags and tasks call it
	name  string
	// colour is that of its line in the plot, which has to be legible on white and on black.
	colour string
}

// ours is the one that the others are compared with.
const ours = "ours"

func contenders() []contender {
	return []contender{
		{ours, "cohort.Syncer", "#1f9d55"},
		{"sort", "GNU sort + comm", "#c98a00"},
		{"map", "Go map", "#9a6bde"},
		{"postgres", "PostgreSQL EXCEPT", "#3f8ae0"},
		{"loop", "plain loop", "#e0564f"},
	}
}

// prepares reports whether something has to be made for it before the first run.
func (c contender) prepares() bool {
	return c.short == ours || c.short == "sort" || c.short == "postgres"
}

// compares reports whether it finds a difference, and does not send everybody again.
func (c contender) compares() bool { return c.short != "loop" }
