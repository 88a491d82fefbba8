package schema

import (
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// ID is a valid UUID. Its zero value is the nil UUID. Paths are built from this type
// only, never from text.
type ID [16]byte

// ParseID parses the 36-character form, in upper or lower case, and nothing else.
func ParseID[S ~string | ~[]byte](s S) (ID, error) {
	const canonical = 36 // the library takes other forms as well
	id, err := uuid.ParseBytes([]byte(s))
	if err != nil || len(s) != canonical {
		return ID{}, fmt.Errorf("%s is not a uuid (want 8-4-4-4-12 hexadecimal digits)", clip(s))
	}
	return ID(id), nil
}

// String returns the canonical form: 36 characters, lower case.
func (id ID) String() string { return string(id.Append(make([]byte, 0, 36))) }

// Append appends the canonical form to b.
func (id ID) Append(b []byte) []byte {
	b = hex.AppendEncode(b, id[:4])
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = append(b, '-')
		b = hex.AppendEncode(b, part)
	}
	return b
}

// IsZero reports whether id is the nil UUID.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText returns the canonical form.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText parses what [ParseID] does.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(b)
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// clip quotes an invalid value, cut to fit into a log line.
func clip[S ~string | ~[]byte](s S) string {
	const maxBytes = 60
	if len(s) > maxBytes {
		return fmt.Sprintf("%q...", string(s[:maxBytes]))
	}
	return fmt.Sprintf("%q", string(s))
}
