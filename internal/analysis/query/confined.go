package query

import (
	"fmt"
	"slices"
	"strings"
)

// A confined DuckDB may open the files of the warehouse, but it cannot be told to only
// read them. So the statements that write files are refused before they are run: COPY,
// ATTACH, EXPORT and the functions of reaching.

// external are the first words of statements that are for other files or the network.
var external = []string{"copy", "attach", "export", "import", "install", "load"}

// reaching are functions that write files.
var reaching = []string{"enable_logging", "enable_profiling"}

// running are functions that run a text, which could have been put together from parts.
var running = []string{"query", "json_execute_serialized_sql"}

const externalHint = "by default a query can read the warehouse and nothing else, and write only its result (--output); --allow-external lets it use other files, the network, extensions and every setting"

// checkConfined returns an error if a statement of the text is not for a confined
// DuckDB, which says so itself of what else it refuses.
func checkConfined(text string) error {
	for _, statement := range statements(text) {
		for at, token := range statement[:max(len(statement)-1, 0)] {
			name := strings.ToLower(strings.Trim(token, `"`))
			if slices.Contains(running, name) && statement[at+1] == "(" {
				return fmt.Errorf("%s is not allowed\n%s", name, externalHint)
			}
		}
		if word := commandOf(statement); slices.Contains(external, word) {
			return fmt.Errorf("%s is not allowed\n%s", strings.ToUpper(word), externalHint)
		}
		for _, token := range statement {
			for _, name := range reaching {
				if strings.Contains(strings.ToLower(token), name) {
					return fmt.Errorf("%s is not allowed\n%s", name, externalHint)
				}
			}
		}
	}
	return nil
}

// statements returns the tokens of each statement, without white space and comments.
func statements(text string) (all [][]string) {
	var statement []string
	eachToken(text, func(start, end int, blank bool) {
		switch t := text[start:end]; {
		case blank:
		case t == ";":
			all, statement = append(all, statement), nil
		default:
			statement = append(statement, t)
		}
	})
	return append(all, statement)
}

// commandOf returns the word that says what a statement does, in lower case: the first
// one but for FORCE and what explains or prepares another statement.
func commandOf(tokens []string) string {
	for len(tokens) > 0 {
		word := strings.ToLower(tokens[0])
		tokens = tokens[1:]
		switch word {
		case "force":
		case "explain":
			for len(tokens) > 0 && slices.Contains([]string{"analyze", "analyse", "verbose"}, strings.ToLower(tokens[0])) {
				tokens = tokens[1:]
			}
			if len(tokens) > 0 && tokens[0] == "(" {
				tokens = afterBracket(tokens)
			}
		case "prepare":
			at := slices.IndexFunc(tokens, func(t string) bool { return strings.EqualFold(t, "as") })
			tokens = tokens[at+1:]
		default:
			return word
		}
	}
	return ""
}

// afterBracket returns what follows the closing bracket of the first.
func afterBracket(tokens []string) []string {
	depth := 0
	for n, t := range tokens {
		switch t {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 {
			return tokens[n+1:]
		}
	}
	return nil
}

// explainRefusal adds the hint to an error of a DuckDB that is confined about that.
func explainRefusal(err error, external bool) error {
	for _, says := range []string{"disabled by configuration", "disabled through configuration", "configuration has been locked"} {
		if !external && strings.Contains(err.Error(), says) {
			return fmt.Errorf("%w\n%s", err, externalHint)
		}
	}
	return err
}
