package open

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// CheckText refuses a text that is no address or path as it was meant, though it could be
// the name of a folder: it has quotes or spaces around it, ~ or a variable that no shell
// has expanded, or one slash where a URL has two. The error has the right form.
func CheckText(text string) error {
	shown, _, _ := strings.Cut(text, "?") // a query may be a token
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("address %.200q: "+format, append([]any{shown}, args...)...)
	}
	switch {
	case text != strings.TrimSpace(text):
		return wrong("it has spaces or line ends around it: leave them out")
	case strings.ContainsAny(text, "\r\n"):
		return wrong("it has more than one line")
	case strings.ContainsFunc(text, unicode.IsControl) || strings.HasPrefix(text, "\ufeff"):
		return wrong("it has characters that do not print: leave them out")
	case len(text) > 1 && strings.ContainsRune(`"'`, rune(text[0])) && text[0] == text[len(text)-1]:
		return wrong("the quotes are a part of it: leave them out")
	case text != "" && text[0] == '~':
		if home, err := os.UserHomeDir(); err == nil && (text == "~" || strings.HasPrefix(text, "~/")) {
			return wrong("only a shell knows ~, and only at the beginning of a word: give %s", filepath.Join(home, strings.TrimPrefix(shown, "~")))
		}
		return wrong("only a shell knows ~, and only at the beginning of a word: give the folder itself, or ./%.200s for one of that name", shown)
	case strings.HasPrefix(text, "$") || strings.Contains(text, "${"):
		return wrong("nobody has expanded the variable in it: give its value, or put ./ before it for a folder of that name")
	}
	scheme, rest, colon := strings.Cut(text, ":")
	if !colon || strings.HasPrefix(rest, "//") || !schemeForm.MatchString(scheme) {
		return nil
	}
	rest = strings.TrimLeft(strings.TrimPrefix(shown, scheme+":"), "/")
	for _, kind := range kinds {
		switch {
		case !slices.Contains(kind.Schemes, strings.ToLower(scheme)):
		case strings.EqualFold(scheme, "file"):
			return wrong("want file:///%s, with three slashes", rest)
		default:
			return wrong("want %s://%s, with two slashes", strings.ToLower(scheme), rest)
		}
	}
	if strings.HasPrefix(text, scheme+":/") {
		return wrong("it is neither a folder nor a URL: want %s; put ./ before it for a folder of that name", Forms())
	}
	return nil
}

// schemeForm is the beginning of a URL. A single letter is a drive of Windows.
var schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+$`)

// checkPartitions refuses an address with a folder such as project_id=x: what reads the
// tables would take it for a column, in place of the table's own.
func checkPartitions(at store.Address) error {
	path := at.Rest
	if at.Scheme == "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("warehouse %s: %w", path, err)
		}
		path = filepath.ToSlash(absolute)
	}
	path, _, _ = strings.Cut(path, "?")
	for folder := range strings.SplitSeq(path, "/") {
		if name, _, ok := strings.Cut(folder, "="); ok && isColumn(strings.ToLower(name)) {
			return fmt.Errorf("warehouse %.200q: DuckDB and BigQuery would take its folder %.200q for a column of the tables: choose another folder", path, folder)
		}
	}
	return nil
}

func isColumn(name string) bool {
	return name == "project_id" || name == "iteration_id" || slices.ContainsFunc(schema.Tables(), func(t schema.Table) bool {
		return slices.ContainsFunc(t.Columns, func(c schema.Column) bool { return c.Name == name })
	})
}
