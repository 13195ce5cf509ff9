package brazetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// TB is the part of *testing.T that a [Server] needs, so that programs that use this package do not link package testing.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Server is an in-memory endpoint that speaks the partner cohort import of Braze. Make one with [NewServer] or [Start].
// All its methods, and those of the partners and workspaces it makes, are safe for concurrent use.
type Server struct {
	tb     TB // nil for Start
	cfg    config
	done   chan struct{} // closed by Close
	doors  doors
	bodies sync.Pool // of *body

	mu         sync.RWMutex
	partners   map[string]*Partner
	workspaces []*Workspace
	restKeys   map[secretHash]*restKey

	log    requestLog
	limits limiter
	faults injections

	closing  sync.Once
	closeErr error
}

// NewServer starts a fake that lives as long as the test. Its cleanup closes the server, and fails the test when a
// fault given to [Server.Inject] never fired, unless the injection is [Injection.Optional]. Options that contradict
// each other, and later mistakes in setting up partners and workspaces, end the test.
func NewServer(tb TB, opts ...Option) *Server {
	tb.Helper()
	s, err := Start(opts...)
	if err != nil {
		tb.Fatalf("%v", err)
		panic(err) // for a TB whose Fatalf returns
	}
	s.tb = tb
	tb.Cleanup(func() {
		tb.Helper()
		if err := s.Close(); err != nil {
			tb.Errorf("%v", err)
		}
	})
	return s
}

// Start starts a fake for a program that is no test. The error says which option is wrong. The caller must call
// [Server.Close].
func Start(opts ...Option) (*Server, error) {
	cfg := defaultConfig()
	for _, o := range opts {
		o.apply(&cfg)
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("brazetest: start: %w", err)
	}
	s := &Server{
		cfg:      cfg,
		done:     make(chan struct{}),
		partners: make(map[string]*Partner),
		restKeys: make(map[secretHash]*restKey),
	}
	s.doors.handling.left.L = &s.doors.handling.mu
	s.bodies.New = func() any { return &body{raw: new(bytes.Buffer)} }
	s.limits.init(cfg.sizes())
	s.log.init()
	return s, nil
}

// Close ends every wait of the fake, closes its doors and waits for the requests that are being answered, other than
// those that came through [Server.ServeHTTP]. State stays readable. The error is an [*UnfiredError] when injected faults
// never fired. Later calls return the same error.
func (s *Server) Close() error {
	s.closing.Do(func() {
		close(s.done)
		s.closeErr = errors.Join(s.closeDoors(), s.faults.unfired())
	})
	return s.closeErr
}

func (s *Server) stopped() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// fatalf reports a mistake in the code that sets the fake up. It does not return.
func (s *Server) fatalf(format string, args ...any) {
	if s.tb != nil {
		s.tb.Helper()
		s.tb.Fatalf(format, args...)
	}
	panic(fmt.Sprintf(format, args...))
}

// UnfiredError says that injected faults never fired, so that what the test meant to see did not happen.
type UnfiredError struct {
	// Injections describes each of them, in the order of registration: "1 of 2 left: status 503 on cohort users".
	Injections []string
}

// Error lists the injections.
func (e *UnfiredError) Error() string {
	return "brazetest: close: faults that never fired: " + strings.Join(e.Injections, "; ") +
		": send a request they match, or mark the injection Optional"
}
