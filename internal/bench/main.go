package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == taskArg {
		err = serveTask(ctx, os.Stdin, os.Stdout)
	} else {
		err = start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// settings is what the flags say.
type settings struct {
	sizes   []int
	churn   float64
	kind    kind
	runs    int
	users   int
	only    []string
	svg     string
	dir     string
	profile string
}

// start runs the benchmark with these arguments.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.users > 0 {
		return matchTable(stdout, s.users, s.runs)
	}
	b, err := newBench(s, stdout)
	if err != nil {
		return err
	}
	return errors.Join(b.run(ctx), b.clean())
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sizes := flags.String("sizes", "10000,100000,1000000,3000000", "how many `members` the cohort has, with commas")
	flags.Float64Var(&s.churn, "churn", 0.01, "which `share` of them leaves, and as many enter")
	flags.Var(&s.kind, "kind", "what the identifiers are: uuid or text")
	flags.IntVar(&s.runs, "runs", 3, "how often each contender runs; the table has the medians")
	flags.IntVar(&s.users, "users", 0, "instead, match a filter of ten conditions against so many `users`")
	only := flags.String("only", "", "the `contenders` to run besides ours, with commas: sort, map, postgres, loop (default all)")
	flags.StringVar(&s.svg, "svg", "", "where to draw the plot of seconds against size (default nowhere)")
	flags.StringVar(&s.dir, "dir", os.TempDir(), "the `folder` in which to work; 10 million members need 2 GB, or 5 GB with PostgreSQL")
	flags.StringVar(&s.profile, "cpuprofile", "", "where to write a profile of the processor time of our last run (default nowhere)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	for size := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 || n > maxSize {
			return s, fmt.Errorf("size %q is no number from 1 to %d", size, maxSize)
		}
		s.sizes = append(s.sizes, n)
	}
	slices.Sort(s.sizes)
	s.sizes = slices.Compact(s.sizes)
	if !(s.churn > 0 && s.churn <= 1) {
		return s, fmt.Errorf("churn %v is no share: use more than 0, and 1 at most", s.churn)
	}
	if s.runs < 1 {
		return s, fmt.Errorf("%d runs are none: use 1 or more", s.runs)
	}
	if s.users < 0 || s.users > maxSize {
		return s, fmt.Errorf("%d users is no number from 1 to %d", s.users, maxSize)
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	for _, name := range s.only {
		if !slices.ContainsFunc(contenders(), func(c contender) bool { return c.short == name }) {
			return s, fmt.Errorf("there is no contender %q", name)
		}
	}
	return s, nil
}
