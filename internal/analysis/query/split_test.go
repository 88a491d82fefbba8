package query

import (
	"strings"
	"testing"
)

func TestSplitLast(t *testing.T) {
	p, err := newParser(false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for text, want := range map[string][2]string{
		"":                                   {"", ""},
		" ; -- nothing\n ;":                  {"", ""},
		"SELECT 1":                           {"", "SELECT 1"},
		"SELECT 1;":                          {"", "SELECT 1"},
		"SELECT 1 ; ; -- done;\n":            {"", "SELECT 1 "},
		"SELECT 1; SELECT 2":                 {"SELECT 1;", " SELECT 2"},
		"SELECT 1;SELECT 2;;":                {"SELECT 1;", "SELECT 2"},
		"SELECT ';'; SELECT '; SELECT 3'":    {"SELECT ';';", " SELECT '; SELECT 3'"},
		"SELECT $$;$$; SELECT $x$ ; $$ $x$":  {"SELECT $$;$$;", " SELECT $x$ ; $$ $x$"},
		`SELECT 1 AS ";"; SELECT 2 AS "a;b"`: {`SELECT 1 AS ";";`, ` SELECT 2 AS "a;b"`},
		"SELECT 1 -- ; SELECT 2\n; SELECT 3 -- ; SELECT 4":          {"SELECT 1 -- ; SELECT 2\n;", "\n SELECT 3 -- ; SELECT 4"},
		"SELECT 1; -- see; FROM x\n SELECT 2":                       {"SELECT 1;", " -- see; FROM x\n SELECT 2"},
		"SELECT 1; /* ; */ SELECT /* ; */ 2":                        {"SELECT 1;", " /* ; */ SELECT /* ; */ 2"},
		"-- x; FROM y\nSELECT 2":                                    {"", "-- x; FROM y\nSELECT 2"},
		"CREATE TABLE t(a INT);\nINSERT INTO t VALUES (1);\nFROM t": {"CREATE TABLE t(a INT);\nINSERT INTO t VALUES (1);", "\n\nFROM t"},
		"SELECT 1; PIVOT x ON y USING sum(z);":                      {"SELECT 1;", " PIVOT x ON y USING sum(z)"},
		"PIVOT x ON y USING sum(z); SELECT 1":                       {"PIVOT x ON y USING sum(z);", " SELECT 1"},
		";\n; SELECT 1":                                             {"", "\n SELECT 1"},
		`SELECT E'\';', 'a\'; SELECT e';''\';'`:                     {`SELECT E'\';', 'a\';`, ` SELECT e';''\';'`},
		"SELECT 1 AS e; SELECT 2 AS a$$; FROM b":                    {"SELECT 1 AS e; SELECT 2 AS a$$;", " FROM b"},
		"SELECT $é$; $$ ; $é$; FROM x":                              {"SELECT $é$; $$ ; $é$;", " FROM x"},
		"/* ; /* ; */ ; */ SELECT 1; /* ; */":                       {"", "/* ; /* ; */ ; */ SELECT 1"},
		"SELECT 1-- ;\r; SELECT 2/**/;":                             {"SELECT 1-- ;\r;", " SELECT 2/**/"},
		"SELECT 2*/* ; */3; SELECT 4 -/* ; */ 5":                    {"SELECT 2*/* ; */3;", " SELECT 4 -/* ; */ 5"},
	} {
		before, last, err := splitLast(text, p.count)
		if err != nil || before != want[0] || last != want[1] {
			t.Errorf("%q: %q, %q, %v; want %q", text, before, last, err, want)
		}
	}
	for _, text := range []string{"SELEC 1", "SELECT 1; SELEC 2", "SELECT 'a"} {
		if _, _, err := splitLast(text, p.count); err == nil || !strings.Contains(err.Error(), "LINE 1: "+text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The parser reads each byte three times at most, however many semicolons there are.
func TestSplitLastIsLinear(t *testing.T) {
	p, err := newParser(false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for name, text := range map[string]string{
		"statements":           strings.Repeat("SELECT 1;\n", 2000) + "SELECT 2",
		"semicolons in quotes": "SELECT 1; SELECT '" + strings.Repeat("; ", 2000) + "'",
		"semicolons alone":     "SELECT 1" + strings.Repeat(";", 2000),
	} {
		parsed := 0
		before, last, err := splitLast(text, func(part string) (int, error) {
			parsed += len(part)
			return p.count(part)
		})
		if err != nil || parsed > 3*len(text) {
			t.Errorf("%s: %d bytes parsed of %d, %v", name, parsed, len(text), err)
		}
		if want := min(strings.Count(before, ";"), 2000); name == "statements" && (want != 2000 || strings.TrimSpace(last) != "SELECT 2") {
			t.Errorf("%s: %d statements before %q", name, want, strings.TrimSpace(last))
		}
	}
}

// The two parts have as many statements as the whole.
func FuzzSplitLast(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT ';' -- ;\n; FROM x;", "PIVOT a ON b; SELECT $$;$$", "/* ; */;;"} {
		f.Add(seed)
	}
	p, err := newParser(false)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.close)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") || len(text) > 200 {
			return
		}
		all, err := p.count(text)
		before, last, splitErr := splitLast(text, p.count)
		if err != nil && splitErr == nil {
			t.Fatalf("%q is split although %v", text, err)
		}
		if splitErr != nil { // it may also be too odd to split
			return
		}
		n, err := p.count(before)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := p.count(last)
		if err != nil || n+rest != all {
			t.Errorf("%q: %d statements of %d, and %q: %d; %v", before, n, all, last, rest, err)
		}
		if strings.Count(before, "\n") > strings.Count(last, "\n") {
			t.Errorf("the lines of %q are lost", last)
		}
	})
}
