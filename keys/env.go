package keys

import (
	"context"
	"os"
	"strconv"
)

// Env returns the [Source] that reads the environment variable of this name each time it is asked. An unset or empty
// variable is a [*SourceError] that names the variable and matches [ErrMissing]; a value that cannot be a key is one
// that wraps an [*InvalidError]. The value is not trimmed.
func Env(name string) Source { return envSource(name) }

type envSource string

func (name envSource) ImportKey(context.Context) (ImportKey, error) {
	place := "environment variable " + strconv.Quote(string(name))
	value, ok := os.LookupEnv(string(name))
	switch {
	case !ok:
		return ImportKey{}, &SourceError{Place: place, Err: ErrMissing, next: "set the variable to the data import key of the workspace"}
	case value == "":
		return ImportKey{}, &SourceError{Place: place, Err: ErrMissing, next: "the variable is set but empty; give it the data import key of the workspace"}
	}
	key := NewImportKey(value)
	if err := key.Validate(); err != nil {
		return ImportKey{}, &SourceError{Place: place, Err: err}
	}
	return key, nil
}
