package cohort

import "sync"

// buffers recycles the memory of request bodies. A buffer comes back when the transport has done with it, which may be after the call
// has returned, so a run cannot simply keep one for each request in flight.
type buffers struct{ pool sync.Pool }

// buffer is the memory of one body.
type buffer struct {
	bytes   []byte
	release func()
}

func newBuffers() *buffers {
	b := &buffers{}
	b.pool.New = func() any {
		buf := &buffer{}
		buf.release = func() { b.pool.Put(buf) }
		return buf
	}
	return b
}

func (b *buffers) take() *buffer { return b.pool.Get().(*buffer) }
