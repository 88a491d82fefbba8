package deploy

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/robfig/cron/v3"
	"mvdan.cc/sh/v3/syntax"
)

const crontab = folder + "/crontab"

func parseSchedule(t *testing.T, schedule string) {
	t.Helper()
	if _, err := cron.ParseStandard(schedule); err != nil {
		t.Errorf("schedule %q: %v", schedule, err)
	}
}

// crontabCommands reads the crontab as cron reads /etc/cron.d: settings, and lines with
// five fields of time, a user and a command for the shell.
func crontabCommands(t *testing.T) []command {
	t.Helper()
	body := read(t, crontab)
	if !strings.HasSuffix(body, "\n") {
		t.Error("the last line has no newline: cron ignores it")
	}
	setting := regexp.MustCompile(`^([A-Z_]+)=(.*)$`)
	env := map[string]string{}
	var all []command
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if m := setting.FindStringSubmatch(line); m != nil {
			if strings.Contains(m[2], "$") || strings.Contains(m[2], " #") {
				t.Errorf("cron expands no variables and knows no comments in a setting: %s", line)
			}
			env[m[1]] = m[2]
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 8 {
			t.Fatalf("too few fields for a line of /etc/cron.d: %s", line)
		}
		parseSchedule(t, strings.Join(fields[:5], " "))
		if fields[5] != "cvexport" {
			t.Errorf("the user is %q: %s", fields[5], line)
		}
		if strings.Contains(line, "%") {
			t.Errorf("cron replaces %% with a newline: %s", line)
		}
		all = append(all, command{file: crontab, args: shellCall(t, strings.Join(fields[6:], " ")), env: maps.Clone(env)})
	}
	if env["MAILTO"] == "" {
		t.Error("want MAILTO: nobody reads the mail of the user cvexport")
	}
	return all
}

// shellCall returns the words after the program's name, as a shell splits them.
func shellCall(t *testing.T, line string) []string {
	t.Helper()
	f, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
	if err != nil || len(f.Stmts) != 1 {
		t.Fatalf("%s: not one command: %v", line, err)
	}
	call, ok := f.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok {
		t.Fatalf("%s: not a plain command", line)
	}
	var words []string
	for _, w := range call.Args {
		words = append(words, w.Lit())
	}
	if words[0] != "/usr/local/bin/cvexport" {
		t.Errorf("%s: write the program's whole path, as cron's PATH is short", line)
	}
	return words[1:]
}

func TestCrontab(t *testing.T) {
	for _, c := range crontabCommands(t) {
		c.checkRate(t, 1)
	}
	if strings.Contains(read(t, crontab), "\t") {
		t.Error("it has tabs")
	}
}
