// Package printable makes text from outside fit to be seen: in a terminal, a log or a page,
// where it could otherwise move the cursor, hide, turn round, or look like a line of ours.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns text of several lines without what does not print: all but line ends, tabs,
// spaces of any kind, and characters that are seen. The rest (control characters and with
// them escape sequences, marks of direction, separators of lines, what has no width, bytes
// that are not UTF-8) becomes \u001b and the like, which means the same in a JSON text. The
// joiners of Persian, of India's scripts and of emoji stay between such letters.
func Text(s string) string { return escape(s, true, "") }

// Line returns text for one line: like [Text], and with line ends and tabs as \n and \t.
func Line(s string) string { return escape(s, false, "") }

// JSON returns a JSON text, in one line, whose strings show what does not print in them as
// \u202e and the like, where [Text] would leave the strings what they are.
func JSON(s string) string { return escape(s, false, `\`) }

// Message returns a message of ours, which may quote text from outside, for a place where
// others follow: like [Text], and with its second and later lines indented, so that none
// of them can look like the beginning of another message.
func Message(s string) string {
	return strings.ReplaceAll(strings.TrimRight(Text(s), "\n"), "\n", "\n  ")
}

// escape writes before ahead of each escape.
func escape(s string, lines bool, before string) string {
	if clean(s, lines) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	last := ' '
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		after, _ := utf8.DecodeRuneInString(s[size:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `%s\x%02x`, before, s[0])
		case prints(r), lines && (r == '\n' || r == '\t'), joins(last, r, after):
			b.WriteString(s[:size])
		case r == '\n', r == '\r', r == '\t':
			b.WriteString(before + map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`}[r])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `%s\u%04x%[1]s\u%04[3]x`, before, high, low)
		default:
			fmt.Fprintf(&b, `%s\u%04x`, before, r)
		}
		last, s = r, s[size:]
	}
	return b.String()
}

// clean reports whether nothing is to be done, as for nearly every text.
func clean(s string, lines bool) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c < ' ' && !(lines && (c == '\n' || c == '\t')) {
			return c >= utf8.RuneSelf && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
				return !prints(r) && !(lines && (r == '\n' || r == '\t'))
			})
		}
	}
	return true
}

func prints(r rune) bool { return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) }

// joins reports whether r is a joiner (U+200C, U+200D) in a place where it changes how
// its neighbours look. Between others it only hides.
func joins(before, r, after rune) bool {
	shapes := func(r rune) bool { return r > 0x2ff && r != utf8.RuneError && prints(r) }
	return (r == 0x200c || r == 0x200d) && shapes(before) && shapes(after)
}
