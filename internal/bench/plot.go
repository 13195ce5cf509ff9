package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The plot's measures, in units of its view box.
const (
	plotWidth, plotHeight = 784.0, 430.0
	plotLeft, plotRight   = 64.0, 560.0 // the labels of the lines stand at the right
	plotTop, plotBottom   = 52.0, 374.0
	labelGap              = 17.0 // between two labels
	// grey is legible on white and on black.
	grey = "#7d8792"
)

// line is one line of the plot.
type line struct {
	label  string
	colour string
	style  string // attributes of the line
	weight string // attributes of the label
	points []point
	labelY float64
}

// point is a size and its seconds.
type point struct{ size, seconds float64 }

// axes translates into units of the view box; both axes are logarithmic.
type axes struct{ fromSize, toSize, fromSeconds, toSeconds float64 } // exponents of ten

func (a axes) x(size float64) float64 {
	return plotLeft + (math.Log10(size)-a.fromSize)/(a.toSize-a.fromSize)*(plotRight-plotLeft)
}

func (a axes) y(seconds float64) float64 {
	return plotBottom - (math.Log10(seconds)-a.fromSeconds)/(a.toSeconds-a.fromSeconds)*(plotBottom-plotTop)
}

// plot returns an SVG picture of the seconds of each contender against the size.
func plot(tables []table) string {
	lines := linesOf(tables)
	a := axesOf(lines)
	for i := range lines {
		lines[i].labelY = a.y(lines[i].points[len(lines[i].points)-1].seconds)
	}
	placeLabels(lines)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%[1]g" height="%[2]g" role="img" aria-labelledby="title" `+
		`font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="12.5" fill="%[3]s">`+"\n", plotWidth, plotHeight, grey)
	fmt.Fprintf(&b, `<title id="title">Seconds to bring a cohort in step, against the number of its members, for %d ways to do it</title>`+"\n", len(lines))
	fmt.Fprintf(&b, `<text x="%g" y="22" font-size="15" font-weight="600">Seconds to bring a cohort in step with who is wanted, %g %% of them new</text>`+"\n",
		plotLeft-40, 100*float64(tables[0].job.Churn)/float64(tables[0].job.Size))
	a.draw(&b)
	for _, l := range lines {
		l.draw(&b, a)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// linesOf returns a line for each contender that ran.
func linesOf(tables []table) []line {
	var lines []line
	for i, r := range tables[0].rows {
		l := line{label: r.name, colour: r.colour, style: ` stroke-width="2"`}
		switch {
		case r.short == ours:
			l.style, l.weight = ` stroke-width="4"`, ` font-weight="600"`
		case !r.compares():
			l.label, l.style = "all again, at the quota", l.style+` stroke-dasharray="1 6"`
		}
		for _, t := range tables {
			if r := t.rows[i]; len(r.results) > 0 {
				l.points = append(l.points, point{float64(t.job.Size), r.cost()})
			}
		}
		if len(l.points) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// cost returns the seconds of a run. Whoever sends everybody is not allowed to be as fast as it could, so what counts is the quota.
func (r row) cost() float64 {
	if r.compares() {
		return max(r.seconds(), 1e-6) // a logarithm has to be taken
	}
	return max(r.seconds(), atQuota(r.results[0].Requests).Seconds())
}

// axesOf returns axes that have room for all points.
func axesOf(lines []line) axes {
	least, most := lines[0].points[0], lines[0].points[0]
	for _, l := range lines {
		for _, p := range l.points {
			least = point{min(least.size, p.size), min(least.seconds, p.seconds)}
			most = point{max(most.size, p.size), max(most.seconds, p.seconds)}
		}
	}
	a := axes{math.Log10(least.size), math.Log10(most.size), math.Floor(math.Log10(least.seconds)), math.Ceil(math.Log10(most.seconds))}
	if a.fromSize == a.toSize {
		a.fromSize, a.toSize = a.fromSize-1, a.toSize+1
	}
	a.toSeconds = max(a.toSeconds, a.fromSeconds+1)
	return a
}

// placeLabels moves the labels apart that would overlap, as little as it takes.
func placeLabels(lines []line) {
	order := make([]*line, len(lines))
	for i := range lines {
		order[i] = &lines[i]
	}
	slices.SortFunc(order, func(a, b *line) int { return cmp.Compare(a.labelY, b.labelY) })
	for range 100 {
		for i := 1; i < len(order); i++ {
			upper, lower := order[i-1], order[i]
			if missing := labelGap - (lower.labelY - upper.labelY); missing > 0 {
				upper.labelY -= missing / 2
				lower.labelY += missing / 2
			}
		}
	}
}

// draw draws the grid and what stands beside it.
func (a axes) draw(b *strings.Builder) {
	sizes, times := powers(a.fromSize, a.toSize), powers(a.fromSeconds, a.toSeconds)
	fmt.Fprintf(b, `<g stroke="%s" stroke-opacity=".28">`+"\n", grey)
	for _, n := range sizes {
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f"/>`+"\n", a.x(n), plotTop, plotBottom)
	}
	for _, s := range times {
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f"/>`+"\n", plotLeft, a.y(s), plotRight)
	}
	b.WriteString("</g>\n" + `<g text-anchor="middle">` + "\n")
	for _, n := range sizes {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`+"\n", a.x(n), plotBottom+20, shortSize(n))
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f">members</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+42)
	b.WriteString("</g>\n" + `<g text-anchor="end">` + "\n")
	for _, s := range times {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`+"\n", plotLeft-9, a.y(s)+4, shortTime(s))
	}
	b.WriteString("</g>\n")
}

// powers returns the powers of ten between two exponents.
func powers(from, to float64) []float64 {
	const slack = 1e-9
	var all []float64
	for e := math.Ceil(from - slack); e <= to+slack; e++ {
		all = append(all, math.Pow(10, e))
	}
	return all
}

// draw draws the line, its points, and its label.
func (l line) draw(b *strings.Builder, a axes) {
	fmt.Fprintf(b, `<g fill="%s" stroke="%[1]s">`+"\n"+`<path fill="none" stroke-linejoin="round" stroke-linecap="round"%s d="`, l.colour, l.style)
	command := byte('M')
	for _, p := range l.points {
		fmt.Fprintf(b, "%c%.1f %.1f", command, a.x(p.size), a.y(p.seconds))
		command = 'L'
	}
	b.WriteString(`"/>` + "\n")
	for _, p := range l.points {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" stroke="none"/>`+"\n", a.x(p.size), a.y(p.seconds))
	}
	last := l.points[len(l.points)-1]
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" stroke="none"%s>%s %s</text>`+"\n</g>\n", plotRight+16, l.labelY+4.5, l.weight, l.label, shortTime(last.seconds))
}

// shortSize returns a number of members: "10 k", "1 M".
func shortSize(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%g M", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%g k", n/1e3)
	default:
		return fmt.Sprintf("%g", n)
	}
}

// shortTime returns a time with two digits that count: "10 ms", "0.13 s", "28 s".
func shortTime(s float64) string {
	switch {
	case s < 0.1:
		return fmt.Sprintf("%.2g ms", 1e3*s)
	case s < 10:
		return fmt.Sprintf("%.2g s", s)
	default:
		return fmt.Sprintf("%.0f s", s)
	}
}
