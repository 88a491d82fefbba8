// Package secret reads keys and tokens as editors, shells and container runtimes leave them
// in files and variables.
package secret

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns the one secret that raw, a file's content or a variable's value, can only
// mean: without a byte order mark, in UTF-8 where it is UTF-16, and without the spaces, line
// ends and quotes around it, and NAME= or export NAME= before it. NAME is one of names, in
// any case. What could mean something else is an error, which says what is wrong with raw
// and repeats nothing of it. The secret is empty if there is nothing but that.
func Text(raw []byte, names ...string) (string, error) {
	text, err := decode(raw)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "\r\n") {
		return "", errors.New("it has several lines: check that it is the value alone")
	}
	if set := assignment.FindStringSubmatch(text); set != nil && slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, set[1]) }) {
		text = strings.TrimSpace(set[2])
	}
	if n := len(text); n > 1 && strings.ContainsRune(quotes, rune(text[0])) && text[0] == text[n-1] {
		text = strings.TrimSpace(text[1 : n-1])
	}
	if strings.Trim(text, quotes) != text {
		return "", errors.New("it has a quote at one end, or two at both: check that it is the value alone")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }) {
		return "", errors.New("it has characters that do not print: check that it is the value alone")
	}
	return text, nil
}

const quotes = "\"'`"

var assignment = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$`)

// decode returns the text in UTF-8, without a byte order mark. UTF-16 without a mark is
// known by its zeros: no secret has them.
func decode(raw []byte) (string, error) {
	var order binary.ByteOrder
	body := raw
	zeros := func(at int) bool { // every other byte from at on is zero
		for i := at; i < len(raw); i += 2 {
			if raw[i] != 0 {
				return false
			}
		}
		return len(raw) > 1
	}
	switch {
	case bytes.HasPrefix(raw, []byte("\xff\xfe")):
		order, body = binary.LittleEndian, raw[2:]
	case bytes.HasPrefix(raw, []byte("\xfe\xff")):
		order, body = binary.BigEndian, raw[2:]
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		body = raw[3:]
	case zeros(1):
		order = binary.LittleEndian
	case zeros(0):
		order = binary.BigEndian
	}
	if order == nil {
		if !utf8.Valid(body) {
			return "", errors.New("it is neither UTF-8 nor UTF-16: save it as UTF-8")
		}
		return string(body), nil
	}
	if len(body)%2 != 0 {
		return "", errors.New("it ends in the middle of a UTF-16 character: save it as UTF-8")
	}
	units := make([]uint16, 0, len(body)/2)
	for i := 0; i < len(body); i += 2 {
		units = append(units, order.Uint16(body[i:]))
	}
	return string(utf16.Decode(units)), nil
}
