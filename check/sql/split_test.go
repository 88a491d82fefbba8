package sql

import (
	"errors"
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		script string
		want   []string
	}{
		{"", nil},
		{" \n\t-- nothing", nil},
		{"a", []string{"a"}},
		{" a ; b;\n", []string{"a ", "b"}},
		{"a;;b", []string{"a", "", "b"}},
		{"-- a;\n# b;\n/* c;\nd; */ e /* f; */ g;", []string{"e /* f; */ g"}},
		{"a -- b;", []string{"a -- b;"}},
		{`'a;' "b;" c;d`, []string{`'a;' "b;" c`, "d"}},
		{`'a\';b';c`, []string{`'a\';b'`, "c"}},
		{`r'a\';b';c`, []string{`r'a\';b'`, "c"}},
		{`'a\\';b`, []string{`'a\\'`, "b"}},
		{`"a';";b`, []string{`"a';"`, "b"}},
		{"'''a;'b\n;''c''';d", []string{"'''a;'b\n;''c'''", "d"}},
		{`"""a";""";b`, []string{`"""a";"""`, "b"}},
		{`'';b`, []string{`''`, "b"}},
		{"`a;b`;c", []string{"`a;b`", "c"}},
		{"'-- a';b", []string{"'-- a'", "b"}},
		{"a - -b;c", []string{"a - -b", "c"}},
		{"'a; b", []string{"'a; b"}},
		{"/* a; b", nil},
		{`'a\`, []string{`'a\`}},
	} {
		var got []string
		for _, s := range split(test.script) {
			got = append(got, test.script[s.start:s.end])
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q is split into %q, want %q", test.script, got, test.want)
		}
	}
}

// TestPosition checks that position counts lines and columns as the analyzer does.
func TestPosition(t *testing.T) {
	for _, before := range []string{"SELECT ", "SELECT\n", "SELECT\n\n  ", "SELECT\t", "SELECT 1\t+", "SELECT 12\t+", "SELECT /*é*/", "SELECT '日本',\t", "\n/*\n\té*/ SELECT\r\n\t"} {
		script := before + "nothing"
		line, column := position(script, len(before))
		_, err := Analyze(script)
		var refused *Error
		if !errors.As(err, &refused) {
			t.Fatalf("%q is taken", script)
		}
		if line != refused.Line || column != refused.Column {
			t.Errorf("%q: %d:%d, the analyzer says %v", script, line, column, refused)
		}
	}
}
