package main

import "fmt"

// kind says what the identifiers of the lists look like.
type kind uint8

const (
	uuidKind kind = iota // UUIDs, as most external IDs are
	textKind             // anything else: 24 characters
)

// String returns "uuid" or "text".
func (k kind) String() string {
	if k == textKind {
		return "text"
	}
	return "uuid"
}

// Set makes kind a flag.
func (k *kind) Set(s string) error {
	switch s {
	case "uuid":
		*k = uuidKind
	case "text":
		*k = textKind
	default:
		return fmt.Errorf("use uuid or text")
	}
	return nil
}
