package transport

import (
	"context"
	"io"
	"net"
)

// writeBuffer holds one full request of UUIDs.
const writeBuffer = 64 << 10

// conn is a connection without TLS that sends a body in as few writes as its buffer allows. Package net would copy it through a new buffer for every
// request, smaller than most bodies.
type conn struct {
	net.Conn
	buf []byte // of the one goroutine that writes
}

// dial makes the connections of the default pool.
func dial(d *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c}, nil
	}
}

// ReadFrom sends what r has.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if c.buf == nil {
		c.buf = make([]byte, writeBuffer)
	}
	return io.CopyBuffer(struct{ io.Writer }{c.Conn}, r, c.buf)
}
