package ledger

import "errors"

var (
	// ErrLeaseLost means that another session has taken the entry over: nothing more is recorded, and nothing more may be sent. Dir
	// and Memory cannot lose a lease; a backend whose leases run out answers with it.
	ErrLeaseLost = errors.New("ledger: the lease on the entry is lost: stop sending and open the entry again")
	// ErrClosed is the error of a session that has been closed.
	ErrClosed = errors.New("ledger: the session is closed: open the entry again")
)

// InvalidError is an argument that cannot be used. It comes before anything is stored.
type InvalidError struct {
	Field   string // the argument: "key workspace", "path"
	Problem string // what is wrong with it, as the tail of a sentence
	Next    string // what to do, as a sentence without its full stop
}

// Error names the field, the problem and the next step.
func (e *InvalidError) Error() string { return "ledger: " + e.Field + " " + e.Problem + ": " + e.Next }

// HeldError means that somebody else has the entry open.
type HeldError struct {
	Key    Key
	Holder string // who, as far as they said: "process 4711 on host web-3 since 2026-03-02T08:15:00Z"
}

// Error names the entry and its holder.
func (e *HeldError) Error() string {
	return "ledger: " + e.Key.String() + " is held by " + e.Holder + ": wait until it is done; a cohort has one writer at a time"
}

// DamagedError means that a file of a ledger is not what was written, so that no difference can be trusted.
type DamagedError struct {
	File    string // the file's path, or what a backend has in its place, such as a table
	Problem string // what is wrong with it, as the tail of a sentence
}

// Error names the file, the problem and the way out.
func (e *DamagedError) Error() string {
	return "ledger: file " + e.File + " " + e.Problem +
		": restore its folder from a backup; without one, move the folder away and import a known list of members, or fill a cohort with a new id"
}
