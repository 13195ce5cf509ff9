package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], newScreen(os.Stdout))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out *screen) error {
	var l live
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error is printed by main
	flags.StringVar(&l.endpoint, "endpoint", "", "REST endpoint or instance name; empty plays the story against the fake")
	flags.StringVar(&l.partner, "partner", "", "the partner's name in the path of the cohort endpoints")
	flags.StringVar(&l.workspace, "workspace", "", "your stable name for the customer")
	flags.StringVar(&l.cohort, "cohort", "", "the cohort, as id=name")
	flags.StringVar(&l.file, "file", "", "the audience, a CSV file with the columns external_id, crm_id, device_id")
	flags.StringVar(&l.state, "state", "cohortkit-state", "the folder of the ledger, which remembers what was sent; it is made if it does not exist")
	if err := flags.Parse(args); err != nil {
		flags.SetOutput(out)
		flags.Usage()
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if l.endpoint == "" {
		return play(ctx, out)
	}
	return l.export(ctx, out)
}
