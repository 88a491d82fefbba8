package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/cvexport/cvexport/internal/simulated"
)

const (
	rules     = folder + "/prometheus/rules.yml"
	dashboard = folder + "/prometheus/dashboard.json"
)

// promtool is Prometheus' own checker, which make deploy gets from Debian's package.
func promtool(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs(root + "/bin/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		return name
	}
	if name, err = exec.LookPath("promtool"); err != nil {
		t.Fatal("promtool is needed (make promtool, or Debian: apt-get install prometheus)")
	}
	return name
}

// night is a run of cvexport nightly on a simulated service.
type night struct {
	iterations int
	broken     bool // the oldest iteration cannot be read
	refused    bool // the key is wrong
	code       int
}

// series are the values of a metrics file by series, as Prometheus would scrape them from
// the moment of the last night, which is 0 in the tests of rules.
func series(t *testing.T, nights ...night) map[string]float64 {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "cvexport.prom")
	var tonight http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tonight.ServeHTTP(w, r) }))
	defer server.Close()
	for _, n := range nights {
		service, err := simulated.New(simulated.Config{Seed: 1, Images: 5, Iterations: n.iterations})
		if err != nil {
			t.Fatal(err)
		}
		if n.broken {
			fault, err := simulated.ParseFault("truncated:iteration=" + service.Projects()[0].Iterations[0].ID.String())
			if err != nil {
				t.Fatal(err)
			}
			service.Fault(fault)
		}
		tonight = service
		cmd := exec.Command(cvexport(t), "nightly", "--endpoint="+server.URL, "--warehouse="+filepath.Join(dir, "warehouse"), "--metrics-file="+file, "--rate=100000", "--retries=0", "--quiet")
		cmd.Env = append(os.Environ(), "VISION_TRAINING_KEY="+map[bool]string{true: "wrong", false: "simulated"}[n.refused])
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != n.code {
			t.Fatalf("%+v: exit code %d, %v: %s", n, code, err, out)
		}
	}
	values := map[string]float64{}
	if len(nights) == 0 {
		return values
	}
	body := strings.ReplaceAll(read(t, file), strings.TrimPrefix(server.URL, "http://"), "shop")
	last := 0.0
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Fatal(err)
		}
		values[line[:at]] = value
		if strings.HasPrefix(line, "cvexport_last_run_timestamp_seconds{") {
			last = max(last, value)
		}
	}
	for name := range values {
		if strings.Contains(name, "_timestamp_seconds{") {
			values[name] -= last
		}
	}
	return values
}

// ruleTest is a test of promtool test rules.
type ruleTest struct {
	Interval string       `json:"interval"`
	Input    []ruleSeries `json:"input_series"`
	Exprs    []ruleExpr   `json:"promql_expr_test,omitempty"`
	Alerts   []ruleAlert  `json:"alert_rule_test,omitempty"`
}

type ruleSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type ruleExpr struct {
	Expr string       `json:"expr"`
	At   string       `json:"eval_time"`
	Want []ruleSample `json:"exp_samples"`
}

type ruleSample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

type ruleAlert struct {
	At   string `json:"eval_time"`
	Name string `json:"alertname"`
	Want []struct {
		Labels      map[string]string `json:"exp_labels"`
		Annotations map[string]string `json:"exp_annotations"`
	} `json:"exp_alerts"`
}

// input is a scrape every four minutes for two days, in which nothing more is written.
func input(values map[string]float64) (all []ruleSeries) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, ruleSeries{name, strconv.FormatFloat(values[name], 'f', -1, 64) + "x" + strconv.Itoa(int(48*time.Hour/scrape))})
	}
	return all
}

const scrape = 4 * time.Minute // less than Prometheus keeps a value without a new one

func testRules(t *testing.T, tests []ruleTest) {
	t.Helper()
	name, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"rule_files": []string{name}, "evaluation_interval": scrape.String(), "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.yml") // JSON is YAML
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool(t), "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// The alerts are raised when they should be, and not otherwise, on what the program wrote.
func TestAlerts(t *testing.T) {
	if out, err := exec.Command(promtool(t), "check", "rules", rules).CombinedOutput(); err != nil {
		t.Fatalf("promtool check rules: %v\n%s", err, out)
	}
	good := night{iterations: 2}
	lost := night{iterations: 18, broken: true, code: 3}
	firing := func(at string, alerts ...string) ruleExpr {
		e := ruleExpr{Expr: `count by (alertname) (ALERTS{alertstate="firing"})`, At: at}
		for _, name := range alerts {
			e.Want = append(e.Want, ruleSample{fmt.Sprintf("{alertname=%q}", name), 1})
		}
		return e
	}
	raised := map[string]bool{}
	var tests []ruleTest
	for _, tc := range []struct {
		nights      []night
		early, late []string // after an hour, and after 27
	}{
		{nil, []string{"CvexportNoMetrics"}, []string{"CvexportNoMetrics"}},
		{[]night{good}, nil, []string{"CvexportNoWholeExport"}},
		{[]night{{iterations: 18}}, nil, []string{"CvexportNoWholeExport"}},
		{[]night{{iterations: 2, broken: true, code: 3}}, []string{"CvexportCoverage", "CvexportFailures", "CvexportNoWholeExport"}, []string{"CvexportCoverage", "CvexportFailures", "CvexportNoWholeExport"}},
		{[]night{lost}, []string{"CvexportAboutToLose", "CvexportCoverage", "CvexportFailures", "CvexportNoWholeExport"}, []string{"CvexportAboutToLose", "CvexportCoverage", "CvexportFailures", "CvexportNoWholeExport"}},
		{[]night{lost, {iterations: 18}}, nil, []string{"CvexportNoWholeExport"}},
		{[]night{good, {iterations: 2, refused: true, code: 4}}, []string{"CvexportFailures"}, []string{"CvexportFailures", "CvexportNoWholeExport"}},
		{[]night{{iterations: 2, refused: true, code: 4}}, []string{"CvexportFailures", "CvexportNoWholeExport"}, []string{"CvexportFailures", "CvexportNoWholeExport"}},
	} {
		tests = append(tests, ruleTest{scrape.String(), input(series(t, tc.nights...)), []ruleExpr{firing("1h", tc.early...), firing("27h", tc.late...)}, nil})
		for _, name := range slices.Concat(tc.early, tc.late) {
			raised[name] = true
		}
	}
	for _, name := range alertNames(t) {
		if !raised[name] {
			t.Errorf("no night raises %s", name)
		}
	}
	// What a person reads.
	values := series(t, lost)
	project := regexp.MustCompile(`project="([^"]+)"`).FindStringSubmatch(strings.Join(slices.Sorted(maps.Keys(values)), " "))
	if project == nil {
		t.Fatal("the metrics are of no project")
	}
	alert := ruleAlert{At: "1h", Name: "CvexportAboutToLose"}
	alert.Want = append(alert.Want, struct {
		Labels      map[string]string `json:"exp_labels"`
		Annotations map[string]string `json:"exp_annotations"`
	}{
		map[string]string{"severity": "critical", "resource": "shop", "project": project[1]},
		map[string]string{
			"summary":     "Iterations of project " + project[1] + " in shop are about to be lost",
			"description": "1 not exported, and the service keeps 20 at most: the oldest will soon have to be deleted. Export first, with cvexport nightly --project " + project[1] + ".",
		},
	})
	coverage := ruleExpr{"cvexport:coverage:ratio", "1h", []ruleSample{{fmt.Sprintf("cvexport:coverage:ratio{project=%q, resource=\"shop\"}", project[1]), 1 - 1.0/18}}}
	testRules(t, append(tests, ruleTest{scrape.String(), input(values), []ruleExpr{coverage}, []ruleAlert{alert}}))
}

func alertNames(t *testing.T) (names []string) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert string `json:"alert"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal([]byte(read(t, rules)), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				names = append(names, rule.Alert)
			}
		}
	}
	if len(names) < 4 {
		t.Fatalf("the alerts are %v", names)
	}
	return names
}

// Every panel shows something of what the program wrote, and names no other metric or label.
func TestDashboard(t *testing.T) {
	var board struct {
		UID           string `json:"uid"`
		Title         string `json:"title"`
		SchemaVersion int    `json:"schemaVersion"`
		Templating    struct {
			List []struct{ Name, Type, Definition string }
		} `json:"templating"`
		Panels []struct {
			ID      int            `json:"id"`
			Type    string         `json:"type"`
			Title   string         `json:"title"`
			Grid    map[string]int `json:"gridPos"`
			Targets []struct {
				RefID        string            `json:"refId"`
				Expr         string            `json:"expr"`
				LegendFormat string            `json:"legendFormat"`
				Datasource   map[string]string `json:"datasource"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(read(t, dashboard)))).Decode(&board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || board.Title == "" || board.SchemaVersion < 36 || len(board.Panels) < 5 {
		t.Fatalf("it has %d panels, version %d", len(board.Panels), board.SchemaVersion)
	}
	values := series(t, night{iterations: 2})
	metrics, labels := map[string]bool{}, map[string]bool{}
	for name := range values {
		metrics[regexp.MustCompile(`^\w+`).FindString(name)] = true
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(name, -1) {
			labels[label[1]] = true
		}
	}
	know := func(title, text string) {
		for _, metric := range regexp.MustCompile(`cvexport_\w+`).FindAllString(text, -1) {
			if !metrics[metric] {
				t.Errorf("%s: the program writes no %s", title, metric)
			}
		}
		for _, part := range regexp.MustCompile(`(?:by|on) \(([^)]*)\)|(\w+)(?:=|=~|!=|!~)"|\{\{(\w+)\}\}|label_values\([^,]*, (\w+)\)`).FindAllStringSubmatch(text, -1) {
			for label := range strings.SplitSeq(strings.Join(part[1:], ""), ", ") {
				if !labels[label] {
					t.Errorf("%s: the program writes no label %s", title, label)
				}
			}
		}
	}
	for _, v := range board.Templating.List {
		know(v.Name, v.Definition)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	test := ruleTest{Interval: scrape.String(), Input: input(values)}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || !slices.Contains([]string{"stat", "table", "timeseries"}, p.Type) {
			t.Errorf("panel %d, %q: want an id of its own, a title, a type and a query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := range p.Grid["w"] {
			for y := range p.Grid["h"] {
				at := [2]int{p.Grid["x"] + x, p.Grid["y"] + y}
				if other := taken[at]; other != "" || at[0] >= 24 {
					t.Fatalf("%q lies over %q, or beyond the edge", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		for _, q := range p.Targets {
			know(p.Title, q.Expr+q.LegendFormat)
			if q.Datasource["uid"] != "${datasource}" {
				t.Errorf("%s: its data are from %v", p.Title, q.Datasource)
			}
			expr := strings.ReplaceAll(q.Expr, "$resource", ".*")
			test.Exprs = append(test.Exprs, ruleExpr{"count(" + expr + ") > bool 0", "1h", []ruleSample{{"{}", 1}}})
		}
	}
	testRules(t, []ruleTest{test})
}
