package brazetest

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// The doors: how requests get to the fake. Each is opened when it is first asked for.

// Client returns an HTTP client whose every connection leads to the fake, in memory: whatever the host of the URL, and
// with http and https alike, though nothing is encrypted. Real HTTP/1.1 is spoken on these connections. Redirects are
// followed, as with any client that says nothing about them, and the target is again the fake.
//
// Each call returns a client of its own; all share one Transport and its idle connections, which [Server.Close] closes.
// Inside a testing/synctest bubble the server must be made in the bubble too; then waiting for an answer lets the
// bubble's time pass.
func (s *Server) Client() *http.Client {
	s.doors.mu.Lock()
	defer s.doors.mu.Unlock()
	if s.doors.transport == nil {
		s.doors.transport = s.openMemory()
	}
	return &http.Client{Transport: s.doors.transport}
}

// URL returns the base URL of the fake on the loopback interface, "http://127.0.0.1:port" without a trailing slash. The
// listener opens with the first call. A loopback address belongs to no instance, so every workspace is served here,
// with the partner key of its own instance. Sockets do not let the time of a testing/synctest bubble pass: use
// [Server.Client] there.
//
// When no listener can be opened the test ends, or, for a server made by [Start], URL panics.
func (s *Server) URL() string {
	s.doors.mu.Lock()
	defer s.doors.mu.Unlock()
	if s.doors.url == "" {
		if s.stopped() {
			s.fatalf("brazetest: url: the server is closed: ask before closing it")
		}
		var config net.ListenConfig
		l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			s.fatalf("brazetest: url: %v: allow listening on 127.0.0.1, or use Client, which needs no socket", err)
		}
		s.doors.url = "http://" + l.Addr().String()
		s.openServer(l)
	}
	return s.doors.url
}

// doors are the listeners and the client side of the memory door.
type doors struct {
	mu        sync.Mutex
	transport *http.Transport
	url       string
	memory    *memoryListener
	servers   []*http.Server
	serving   sync.WaitGroup // the Serve calls
	handling  gate           // the handlers they started
}

// gate counts what is inside and can be shut, which sync.WaitGroup cannot.
type gate struct {
	mu     sync.Mutex
	left   sync.Cond
	inside int
	shut   bool
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.left.Broadcast()
}

func (g *gate) shutAndWait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for g.inside > 0 {
		g.left.Wait()
	}
}

func (s *Server) openMemory() *http.Transport {
	l := &memoryListener{dialled: make(chan net.Conn), done: s.done, open: make(map[net.Conn]struct{})}
	if !s.stopped() {
		s.doors.memory = l
		s.openServer(l)
	}
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { return l.dial(ctx, address) }
	return &http.Transport{
		DialContext: dial,
		// The pipe is no *tls.Conn, so the transport speaks plain HTTP/1.1 on it even for https.
		DialTLSContext:      dial,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1 << 10,
	}
}

// openServer is called with the lock of the doors held.
func (s *Server) openServer(l net.Listener) {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.doors.handling.enter() {
				panic(http.ErrAbortHandler)
			}
			defer s.doors.handling.leave()
			s.ServeHTTP(w, r)
		}),
		// Dropped connections are what the fake is for; nobody wants to read about them on standard error.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.doors.servers = append(s.doors.servers, server)
	s.doors.serving.Go(func() { _ = server.Serve(l) }) // it ends with ErrServerClosed
}

func (s *Server) closeDoors() error {
	s.doors.mu.Lock()
	transport, memory, servers := s.doors.transport, s.doors.memory, s.doors.servers
	s.doors.mu.Unlock()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Close())
	}
	s.doors.serving.Wait()
	if memory != nil {
		memory.closeConns()
	}
	s.doors.handling.shutAndWait()
	if transport != nil {
		transport.CloseIdleConnections()
	}
	return errors.Join(errs...)
}

// memoryListener hands the server's end of each dialled connection to http.Server.
type memoryListener struct {
	dialled chan net.Conn
	done    <-chan struct{} // closed with the server

	mu   sync.Mutex
	open map[net.Conn]struct{} // server ends; nil once they are closed for good
}

var errClosed = errors.New("brazetest: the server is closed: make the request before closing it")

func (l *memoryListener) dial(ctx context.Context, address string) (net.Conn, error) {
	client, server := newMemoryConns(address)
	if !l.track(server) {
		return nil, errClosed
	}
	select {
	case l.dialled <- server:
		return client, nil
	case <-l.done:
		_ = server.Close() // never fails
		return nil, errClosed
	case <-ctx.Done():
		_ = server.Close()
		return nil, context.Cause(ctx)
	}
}

// track remembers the connection until it is closed. http.Server closes the connections it knows, which misses one that it
// is just about to accept.
func (l *memoryListener) track(c *memoryConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return false
	}
	l.open[c] = struct{}{}
	c.closed = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, c)
	}
	return true
}

func (l *memoryListener) closeConns() {
	l.mu.Lock()
	conns := l.open
	l.open = nil
	l.mu.Unlock()
	for c := range conns {
		_ = c.Close() // never fails
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialled:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { return nil }
func (l *memoryListener) Addr() net.Addr { return memoryAddr("brazetest") }
