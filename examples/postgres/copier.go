package postgres

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cohortkit/cohortkit/cohort/ledger"
	"github.com/cohortkit/cohortkit/identity"
)

// copier brings the wanted into their table by COPY in its binary format, chunk by chunk. It holds no connection while the source is asked for more,
// which may come slowly, and from the same pool.
type copier struct {
	pool    *pgxpool.Pool
	table   string
	chunk   []byte
	wanted  int // how many have been added
	others  int // and how many other identifiers of theirs
	storage []byte
}

// chunkSize is how many bytes are brought over at once.
const chunkSize = 2 << 20

// The format's signature, flags and length of extension, and its end. See the reference page of COPY.
const (
	copyHead = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTail = "\xff\xff"
)

func (c *copier) add(ctx context.Context, w ledger.Wanted) error {
	c.wanted++
	c.storage = w.ID.AppendEncode(c.storage[:0])
	digest := digestOf(c.storage)
	c.row(digest[:], c.storage, nil)
	for _, other := range w.Others {
		c.other(digest, other)
	}
	if len(c.chunk) < chunkSize {
		return nil
	}
	return c.flush(ctx)
}

func (c *copier) other(person digest, id identity.ID) {
	c.storage = id.AppendEncode(c.storage[:0])
	other := digestOf(c.storage)
	c.others++
	c.row(person[:], nil, other[:])
}

// row appends a row of these fields, of which nil is NULL.
func (c *copier) row(fields ...[]byte) {
	if len(c.chunk) == 0 {
		c.chunk = append(c.chunk, copyHead...)
	}
	c.chunk = binary.BigEndian.AppendUint16(c.chunk, uint16(len(fields)))
	for _, field := range fields {
		if field == nil {
			c.chunk = binary.BigEndian.AppendUint32(c.chunk, ^uint32(0))
			continue
		}
		c.chunk = binary.BigEndian.AppendUint32(c.chunk, uint32(len(field)))
		c.chunk = append(c.chunk, field...)
	}
}

// flush brings over what has been added.
func (c *copier) flush(ctx context.Context) error {
	if len(c.chunk) == 0 {
		return nil
	}
	c.chunk = append(c.chunk, copyTail...)
	err := c.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		_, err := conn.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(c.chunk), "COPY "+c.table+" FROM STDIN BINARY")
		return err
	})
	c.chunk = c.chunk[:0]
	return err
}
