-- The tables of a ledger. All names begin with cohortkit_; which schema they are in is up to the search_path of the role or the pool.
-- Migrate runs this file; a team with migrations of its own copies it there.

-- One row for each cohort: its key, the lease on it, and what changes with every write. The row is written often, so it is short
-- and its page has room for the next version, which then needs no entry in an index.
CREATE TABLE IF NOT EXISTS cohortkit_entry (
    entry      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        uuid NOT NULL UNIQUE, -- a hash of the next four, which may be longer than an index can hold
    endpoint   text NOT NULL,
    partner    text NOT NULL,
    workspace  text NOT NULL,
    cohort_id  text NOT NULL,
    epoch      bigint NOT NULL, -- the fencing token: goes up each time the lease changes hands, to the microseconds since 1970
    holder     text NOT NULL,   -- who has the lease, for the message to others; '' for nobody
    since      timestamptz NOT NULL,
    expires    timestamptz NOT NULL, -- by the clock of the database, as is every time that is compared
    generation bigint NOT NULL DEFAULT 0, -- 0 as long as nothing was recorded
    watermark  bigint NOT NULL DEFAULT 0  -- nanoseconds since 1970
) WITH (fillfactor = 50);

-- What is recorded of a cohort besides its members. A time is in seconds and nanoseconds since 1970, NULL for none: a timestamptz has
-- microseconds.
CREATE TABLE IF NOT EXISTS cohortkit_header (
    entry         bigint PRIMARY KEY REFERENCES cohortkit_entry ON DELETE CASCADE,
    name          text NOT NULL,
    former_name   text NOT NULL,
    naming        smallint NOT NULL, -- 0 unnamed, 1 unknown, 2 named
    created_at    bigint,
    created_at_ns integer,
    named_at      bigint,
    named_at_ns   integer,
    retired       boolean NOT NULL,
    rules         text NOT NULL,
    sent          bigint[] NOT NULL -- one for each slice
);

-- Who is In (1) or Unknown (2). Who is out has no row. An identifier is kept byte for byte, and may be longer than an index can hold, so
-- a hash of it stands for it. There is no foreign key: it would have every row of every request lock the row of its entry.
CREATE TABLE IF NOT EXISTS cohortkit_member (
    entry  bigint NOT NULL,
    digest uuid NOT NULL,
    id     bytea NOT NULL, -- identity.ID.Encode
    state  smallint NOT NULL CHECK (state IN (1, 2)),
    PRIMARY KEY (entry, digest)
);

-- When the events of a stream happened: a log with a row for each event of each intent, so that an intent that was refused takes its own rows
-- with it and uncovers what was known before. Sessions clear it of what newer rows cover.
CREATE TABLE IF NOT EXISTS cohortkit_stamp (
    entry  bigint NOT NULL,
    epoch  bigint NOT NULL, -- with intent, whose
    intent bigint NOT NULL,
    member uuid NOT NULL, -- a hash that holds no identifier
    at     bigint NOT NULL, -- nanoseconds since 1970
    leave  boolean NOT NULL,
    sure   boolean NOT NULL,
    PRIMARY KEY (entry, epoch, intent, member)
);
