package keys

import "context"

// Source gives the data import key of one workspace. It is asked before every request, so it should answer from memory
// when it can. After a refusal that can be the import key's fault, a Source that is no Listener is asked once more for that request, and
// the request repeated if it then has another key.
//
// A Source either returns a key that passes [ImportKey.Validate], or an error. The error says where the key was looked
// for and holds nothing of it. Implementations must be safe for concurrent use and should heed the context when they
// wait. A Source may be a [Listener] as well.
type Source interface {
	ImportKey(ctx context.Context) (ImportKey, error)
}

// Listener hears how the keys of a [Source] fared. Whoever asks a Source for a key looks for this interface on it by
// type assertion and tells it about every request that was accepted or refused as unauthorized.
//
// Calls come from many goroutines, and late: the key they speak of need not be the one the Source answers with now.
// Neither method may wait for long.
type Listener interface {
	// Accepted says that a request with this key was accepted. A request refused for another reason says nothing about its key, because whether
	// the endpoint looks at the key first is undocumented.
	Accepted(key ImportKey)

	// Refused says that a request with this key was refused as unauthorized, and why, as far as is known. When the Source knows another key that
	// is worth a try for this request, it returns it and true. The caller then repeats the request once with that key, and tells how it fared;
	// a second refusal of the same request is told too, but what Refused answers then is not tried. The key need not be the one that
	// the Source gives to others: a new key can be tried on a refused request before it is trusted with all.
	Refused(key ImportKey, cause Cause) (other ImportKey, ok bool)
}

// Func returns the [Source] that calls f each time it is asked. It suits a secret store with a client of its own; f
// should cache, since it runs before every request. The error of f is wrapped in a [*SourceError], and so is that of an
// invalid key. F must be safe for concurrent use and must not put the key into its errors.
func Func(f func(context.Context) (ImportKey, error)) Source { return funcSource(f) }

type funcSource func(context.Context) (ImportKey, error)

func (f funcSource) ImportKey(ctx context.Context) (ImportKey, error) {
	const place = "a function"
	if f == nil {
		return ImportKey{}, &SourceError{Place: place, Err: ErrMissing, next: "pass a function that is not nil"}
	}
	key, err := f(ctx)
	if err == nil {
		err = key.Validate()
	}
	if err != nil {
		return ImportKey{}, &SourceError{Place: place, Err: err}
	}
	return key, nil
}
