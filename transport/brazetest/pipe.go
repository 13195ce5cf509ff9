package brazetest

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pipeBuffer bounds what one direction of a pipe holds unread, in bytes. A request of 1,000 UUIDs has about 40 KB, so a
// usual request is handed over without its writer having to wait.
const pipeBuffer = 64 << 10

// pipe is one direction of an in-memory connection: a bounded buffer with deadlines. Unlike net.Pipe a write does not wait
// for its read, as with a socket. All waiting is in sync.Cond.Wait, which package testing/synctest knows as durable.
type pipe struct {
	mu      sync.Mutex
	changed sync.Cond // something below changed
	buf     []byte
	start   int  // buf[start:] is unread
	ended   bool // nothing more will be written
	dropped bool // nothing more will be read

	readBy  deadline
	writeBy deadline
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed.L = &p.mu
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.dropped:
			return 0, io.ErrClosedPipe
		case p.readBy.over():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.start < len(p.buf):
			n := copy(b, p.buf[p.start:])
			p.start += n
			if p.start == len(p.buf) {
				p.buf, p.start = p.buf[:0], 0
			}
			p.changed.Broadcast()
			return n, nil
		case p.ended:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *pipe) write(b []byte) (written int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.ended || p.dropped:
			return written, io.ErrClosedPipe
		case p.writeBy.over():
			return written, os.ErrDeadlineExceeded
		case len(b) == 0:
			return written, nil
		}
		if room := pipeBuffer - (len(p.buf) - p.start); room > 0 {
			n := min(room, len(b))
			if p.start > 0 && len(p.buf)+n > cap(p.buf) {
				p.buf = p.buf[:copy(p.buf, p.buf[p.start:])]
				p.start = 0
			}
			p.buf = append(p.buf, b[:n]...)
			b, written = b[n:], written+n
			p.changed.Broadcast()
			continue
		}
		p.changed.Wait()
	}
}

// end is the writer's close: the reader gets what is buffered, then io.EOF.
func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.writeBy.stop()
	p.changed.Broadcast()
}

// drop is the reader's close: what is buffered is lost, and writes fail.
func (p *pipe) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = true
	p.buf, p.start = nil, 0
	p.readBy.stop()
	p.changed.Broadcast()
}

// deadline is one of the two deadlines of a pipe, guarded by the pipe's lock.
type deadline struct {
	at     time.Time // zero for none
	passed bool      // the timer fired
	timer  *time.Timer
}

// over asks the clock too: what runs at the very moment of the deadline may come before the timer's function.
func (d *deadline) over() bool {
	return d.passed || !d.at.IsZero() && !time.Now().Before(d.at)
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (p *pipe) setDeadline(d *deadline, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.stop()
	d.at, d.passed = at, false
	if at.IsZero() {
		return
	}
	if d.over() {
		p.changed.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(at), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if d.timer == timer { // else it was replaced while this function waited for the lock
			d.passed = true
			p.changed.Broadcast()
		}
	})
	d.timer = timer
}

// memoryConn is one end of an in-memory connection.
type memoryConn struct {
	in, out *pipe
	local   memoryAddr
	remote  memoryAddr
	scratch atomic.Pointer[[16 << 10]byte]
	closed  func() // set before the first use, or nil; may be called more than once
}

// newMemoryConns returns the two ends of a connection to the address that the client dialled.
func newMemoryConns(address string) (client, server *memoryConn) {
	up, down := newPipe(), newPipe()
	c, s := memoryAddr("client"), memoryAddr(address)
	return &memoryConn{in: down, out: up, local: c, remote: s}, &memoryConn{in: up, out: down, local: s, remote: c}
}

func (c *memoryConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memoryConn) Write(b []byte) (int, error) { return c.out.write(b) }

// ReadFrom copies from r. net/http sends request bodies this way, and without it would allocate 32 KB for each.
func (c *memoryConn) ReadFrom(r io.Reader) (n int64, err error) {
	buf := c.scratch.Swap(nil) // nil while another call has it
	if buf == nil {
		buf = new([16 << 10]byte)
	}
	defer c.scratch.Store(buf)
	for {
		read, rerr := r.Read(buf[:])
		written, werr := c.out.write(buf[:read])
		n += int64(written)
		switch {
		case werr != nil:
			return n, werr
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}

func (c *memoryConn) Close() error {
	c.out.end()
	c.in.drop()
	if c.closed != nil {
		c.closed()
	}
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr  { return c.local }
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }

func (c *memoryConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t) // neither of them fails
	return c.SetWriteDeadline(t)
}

func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// memoryAddr is the address of an end: the host and port that were dialled, or "client".
type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }
