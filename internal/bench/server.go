package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// server is a PostgreSQL of our own, on a socket in a folder of its own.
type server struct {
	Bin    string // the folder of its programs
	Socket string // the folder of its socket
	PID    int

	cmd  *exec.Cmd
	done chan error
}

// serverUser is the name of the database's owner.
const serverUser = "bench"

// findServer returns the folder of PostgreSQL's programs: that of the PATH, or the newest one that is installed.
func findServer() (string, error) {
	if name, err := exec.LookPath("initdb"); err == nil {
		if name, err = filepath.EvalSymlinks(name); err == nil {
			return filepath.Dir(name), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", &missingError{"there is no initdb on the PATH or in /usr/lib/postgresql"}
	}
	return filepath.Dir(slices.Max(found)), nil
}

// startServer makes a database in the folder and starts a server for it. Every failure is a reason not to run.
func startServer(ctx context.Context, dir string) (*server, error) {
	bin, err := findServer()
	if err != nil {
		return nil, err
	}
	s := &server{Bin: bin, done: make(chan error, 1)}
	if err := s.start(ctx, dir); err != nil {
		_ = s.stop()
		return nil, &missingError{err.Error()}
	}
	return s, nil
}

func (s *server) start(ctx context.Context, dir string) error {
	account, err := serverAccount()
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "postgres")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	// The name of a socket must be short, whatever folder we work in.
	if s.Socket, err = os.MkdirTemp("", "cohortkit"); err != nil {
		return err
	}
	for _, folder := range [...]string{data, s.Socket} {
		if err := account.own(folder); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.Bin, "initdb"), "-D", data, "-U", serverUser, "-A", "trust", "-E", "UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = s.Socket, account.attributes()
	if err := runCommand(initdb); err != nil {
		return err
	}
	// It gets as much memory as sort. Everything else is as it comes, so what it says is done is durable.
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "postgres"), "-D", data, "-k", s.Socket, "-c", "listen_addresses=",
		"-c", "shared_buffers=256MB", "-c", "work_mem=256MB", "-c", "max_wal_size=2GB")
	cmd.Dir, cmd.SysProcAttr = s.Socket, account.attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // a fast shutdown
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.PID = cmd, cmd.Process.Pid
	go func() { s.done <- cmd.Wait() }()
	return s.ready(ctx)
}

// ready returns when the server answers.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.query(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		case ended := <-s.done:
			s.done <- ended
			return fmt.Errorf("the server ended before it answered: %w", errors.Join(ended, err))
		}
	}
}

// query has the server run statements, one after the other.
func (s *server) query(ctx context.Context, statements ...string) error {
	_, err := s.ask(ctx, statements...)
	return err
}

// ask is query with the answers, a line for each row.
func (s *server) ask(ctx context.Context, statements ...string) ([]string, error) {
	args := []string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", s.Socket, "-U", serverUser, "-d", "postgres"}
	for _, statement := range statements {
		args = append(args, "-c", statement)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "psql"), args...)
	var text strings.Builder
	cmd.Stdout = &text
	if err := runCommand(cmd); err != nil {
		return nil, err
	}
	return strings.Fields(text.String()), nil
}

// stop ends the server.
func (s *server) stop() error {
	if s == nil {
		return nil
	}
	var err error
	if s.cmd != nil {
		if err = s.cmd.Cancel(); err == nil {
			err = <-s.done
		}
	}
	if s.Socket != "" {
		if removeErr := os.RemoveAll(s.Socket); err == nil {
			err = removeErr
		}
	}
	return err
}
