package transport

import (
	"errors"
	"io"
	"sync"
)

var errBodyClosed = errors.New("transport: request body read after it was closed")

// body reads a request's bytes for one attempt.
//
// net/http may close a body while its write loop, in another goroutine, still reads it: when a call is cancelled, or the answer
// comes before the request is through. So reading copies under a lock, reading a closed body fails, and there is no WriteTo that would hand the
// bytes themselves to a connection. Only when all readers are closed may the bytes be used again.
type body struct {
	call *call

	mu     sync.Mutex
	unread []byte
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errBodyClosed
	}
	if len(b.unread) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.unread)
	b.unread = b.unread[n:]
	return n, nil
}

// Len tells retryablehttp the Content-Length.
func (b *body) Len() int { return len(b.unread) }

// Close lets go of the bytes. It may be called more than once.
func (b *body) Close() error {
	b.mu.Lock()
	again := b.closed
	b.closed, b.unread = true, nil
	b.mu.Unlock()
	if !again {
		b.call.releaseBody()
	}
	return nil
}

// openBody is called for every attempt, and once more by retryablehttp to learn the length.
func (c *call) openBody() (io.Reader, error) {
	c.bodyReaders.Add(1)
	return &body{call: c, unread: c.req.Body}, nil
}

// releaseBody counts down the readers of the body, Do itself being one of them.
func (c *call) releaseBody() {
	if c.bodyReaders.Add(-1) == 0 && c.req.Release != nil {
		c.req.Release()
	}
}
