//go:build !linux

package ledger

// networkFileSystem knows none here; see the documentation of OpenDir.
func networkFileSystem(string) string { return "" }
