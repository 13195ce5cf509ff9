//go:build postgres

package postgres_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// database is the URL or DSN of the database of all tests, each of which works in a schema of its own.
var database string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runTests(m))
}

// runTests runs the tests on the database that COHORTKIT_POSTGRES_URL names, or on a server of our own.
func runTests(m *testing.M) int {
	database = os.Getenv("COHORTKIT_POSTGRES_URL")
	switch schema := os.Getenv(childSchema); {
	case schema != "":
		if err := child(context.Background(), schema); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	case database != "":
		return runExamples(m)
	}
	var settings []string
	if flag.Lookup("test.bench").Value.String() == "" {
		settings = append(settings, "fsync=off") // the tests end no machine, and wait for no disk
	}
	s, err := startServer(settings...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need PostgreSQL: install its server, or set COHORTKIT_POSTGRES_URL to a database that they may write to:", err)
		return 1
	}
	database = "host=" + s.dir + " user=test dbname=postgres"
	code := runExamples(m)
	if err := s.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the server did not end well:", err)
		return 1
	}
	return code
}

// runExamples runs the tests, and the examples with a schema of their own.
func runExamples(m *testing.M) int {
	ctx := context.Background()
	schema := fmt.Sprintf("cohortkit_test_%d", os.Getpid())
	if err := execute(ctx, "CREATE SCHEMA "+schema); err != nil {
		fmt.Fprintln(os.Stderr, "the database of the tests:", err)
		return 1
	}
	if err := os.Setenv("PGOPTIONS", "-c search_path="+schema); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := execute(ctx, "DROP SCHEMA "+schema+" CASCADE"); err != nil {
		fmt.Fprintln(os.Stderr, "the database of the tests:", err)
		return 1
	}
	return code
}

// execute has the database run a statement.
func execute(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// server is a PostgreSQL of our own, on a socket in a folder of its own.
type server struct {
	dir   string
	stdin io.Closer // while it is open the server runs; our death closes it too
	done  chan error
}

// untilEOF runs a command until its input ends.
const untilEOF = `"$@" & read _; kill -INT $!; wait $!`

func startServer(settings ...string) (*server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "cohortkit") // where the name of a socket is short enough
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, done: make(chan error, 1)}
	if err := s.start(bin, settings); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// programs returns the folder of PostgreSQL's programs: that of the PATH, or the newest one that is installed.
func programs() (string, error) {
	if name, err := exec.LookPath("initdb"); err == nil {
		if name, err = filepath.EvalSymlinks(name); err == nil {
			return filepath.Dir(name), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("there is no initdb on the PATH or in /usr/lib/postgresql")
	}
	return filepath.Dir(slices.Max(found)), nil
}

func (s *server) start(bin string, settings []string) error {
	account, err := account()
	if err != nil {
		return err
	}
	if account != nil {
		if err := os.Chown(s.dir, int(account.Uid), int(account.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: account}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	args := []string{"-c", untilEOF, "sh", filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(context.Background(), "sh", args...)
	cmd.Dir, cmd.SysProcAttr, cmd.Stderr = s.dir, &syscall.SysProcAttr{Credential: account}, log
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		s.done <- err
		return err
	}
	go func() { s.done <- cmd.Wait() }()
	return s.ready()
}

// account is whom a server runs as if we are root, as whom it refuses to; otherwise nil.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("it refuses to run as root, and there is no other account: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// ready returns when the server answers.
func (s *server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, "host="+s.dir+" user=test dbname=postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		case ended := <-s.done:
			s.done <- ended
			out, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server ended before it answered: %w: %s", errors.Join(ended, err), out)
		}
	}
}

// stop ends the server.
func (s *server) stop() error {
	var err error
	if s.stdin != nil {
		if err = s.stdin.Close(); err == nil {
			err = <-s.done
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
