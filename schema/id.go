package schema

import (
	"encoding/hex"
	"fmt"
)

// ID is a valid UUID. Its zero value is the nil UUID. Paths are built from this type
// only, never from text.
type ID [16]byte

// ParseID parses the 36-character form, in upper or lower case, and nothing else.
func ParseID[S ~string | ~[]byte](s S) (ID, error) {
	var id ID
	if !parseID(&id, s) {
		return ID{}, fmt.Errorf("%s is not a uuid (want 8-4-4-4-12 hexadecimal digits)", clip(s))
	}
	return id, nil
}

func parseID[S ~string | ~[]byte](id *ID, s S) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	pos := 0
	for i := range id {
		if pos == 8 || pos == 13 || pos == 18 || pos == 23 {
			pos++
		}
		hi, lo := nibble[s[pos]], nibble[s[pos+1]]
		if hi|lo > 15 {
			return false
		}
		id[i] = hi<<4 | lo
		pos += 2
	}
	return true
}

// nibble is the value of a hexadecimal digit, 0xff for any other byte.
var nibble = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = byte(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = byte(10+i), byte(10+i)
	}
	return t
}()

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
