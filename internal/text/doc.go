// Package text says what is wrong with a piece of text that is about to travel as an identifier, a name or a key.
// It is shared by every package that takes such text from a caller, so that one rule decides what may go on the wire.
package text
