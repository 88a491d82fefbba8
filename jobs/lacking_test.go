package jobs

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

// front puts a handler before the bench's service. It returns a function that counts the
// requests for figures so far, and the others.
func (b *bench) front(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) func() (figures, others int) {
	t.Helper()
	var figures, others atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/performance") {
			figures.Add(1)
		} else {
			others.Add(1)
		}
		if !answer(w, r) {
			b.service.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b.client = hostileClient(t, server.URL, 0)
	return func() (int, int) { return int(figures.Load()), int(others.Load()) }
}

// The images of an iteration are exported even if the service has no figures of its own.
// Each later night asks for them with one request, and exports the iteration again once
// they are there.
func TestFiguresMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		status    int
		body      string
		cause     string
		precision bool // is there
		tags      bool // with figures
	}{
		"404":                {404, `{"code":"NotFoundIterationPerformance","message":"x"}`, "the service answered 404 NotFoundIterationPerformance: x", false, false},
		"400":                {400, ``, "the service answered 400 Bad Request", false, false},
		"no list":            {200, `{"precision":0.5,"recall":0.5}`, "41 figures: the service gave no averagePrecision, no perTagPerformance", true, false},
		"nothing":            {200, `{}`, "the service gave no precision", false, false},
		"NaN in one tag":     {200, `{"precision":0.5,"recall":0.5,"averagePrecision":0.5,"perTagPerformance":[{"id":"TAG","name":"x","precision":"NaN","precisionStdDeviation":0,"recall":0.25,"recallStdDeviation":0,"averagePrecision":0.5}]}`, `no perTagPerformance[].precision but "NaN"`, true, true},
		"a null in one tag":  {200, `{"precision":0.5,"recall":0.5,"averagePrecision":0.5,"perTagPerformance":[{"id":"TAG","name":"x","precision":null,"precisionStdDeviation":0,"recall":0.25,"recallStdDeviation":0,"averagePrecision":0.5}]}`, `no perTagPerformance[].precision`, true, true},
		"no tag":             {200, `{"precision":0.5,"recall":0.5,"averagePrecision":0.5,"perTagPerformance":[]}`, `40 figures: the service gave no figures of 8 of the 8 tags`, true, false},
		"out of range":       {200, `{"precision":1.7,"recall":0.5,"averagePrecision":-3,"perTagPerformance":[]}`, `no precision but 1.7, no averagePrecision but -3, no figures of 8 of the 8 tags`, false, false},
		"NaN in the overall": {200, `{"precision":"NaN","recall":0.5,"averagePrecision":0.5,"perTagPerformance":[]}`, `no precision but "NaN"`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, simulated.Config{Seed: 7, Images: 5, Iterations: 2})
			tag := b.service.Projects()[0].Tags[0].ID.String()
			var lacks atomic.Bool
			lacks.Store(true)
			count := b.front(t, func(w http.ResponseWriter, r *http.Request) bool {
				if !lacks.Load() || !strings.HasSuffix(r.URL.Path, b.service.Projects()[0].Iterations[0].ID.String()+"/performance") {
					return false
				}
				w.WriteHeader(tc.status)
				fmt.Fprint(w, strings.ReplaceAll(tc.body, "TAG", tag))
				return true
			})
			var log bytes.Buffer
			o := NightlyOptions{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
			first := b.nightly(t, Choice{}, o)
			wantOutcomes(t, first, map[Outcome]int{Exported: 2})
			e := first.Projects[0].Iterations[0].Result.Export
			if e.Images() != 5 || !strings.Contains(e.FiguresMissing, tc.cause) || (e.Precision != nil) != tc.precision {
				t.Errorf("exported %+v", e)
			}
			if other := first.Projects[0].Iterations[1].Result.Export; other.FiguresMissing != "" {
				t.Errorf("the other iteration lacks %q", other.FiguresMissing)
			}
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), e.Iteration.String()) {
				t.Errorf("log %s", &log)
			}
			b.verify(t)
			compareImages := func() {
				t.Helper()
				got := duckRows(t, fmt.Sprintf(`SELECT (SELECT count(*) FROM read_parquet('%[1]s/images/*/iteration_id=%[2]s/*.parquet')), count(*), count(precision), count(recall), count(image_count)
					FROM read_parquet('%[1]s/tag_performance/*/iteration_id=%[2]s/*.parquet')`, b.root, e.Iteration))
				want := "[5 8 8 8 8]"
				if lacks.Load() {
					want = "[5 8 0 0 8]"
				}
				if lacks.Load() && tc.tags {
					want = "[5 8 0 1 8]"
				}
				if len(got) != 1 || got[0] != want {
					t.Errorf("images, tags, their precision, recall, images: %v, want %s", got, want)
				}
			}
			compareImages()

			before := b.snapshot(t)
			figures, others := count()
			wantOutcomes(t, b.nightly(t, Choice{}, o), map[Outcome]int{Present: 2})
			wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{DryRun: true}), map[Outcome]int{Present: 2})
			if f, more := count(); f != figures+1 || more != others+4 {
				t.Errorf("an idle night and a dry run make %d requests for figures and %d others, want 1 and 4", f-figures, more-others)
			}
			if after := b.snapshot(t); len(after) != len(before) || fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("an idle night changed the warehouse")
			}

			lacks.Store(false)
			third := b.nightly(t, Choice{}, o)
			wantOutcomes(t, third, map[Outcome]int{Exported: 1, Present: 1})
			if r := third.Projects[0].Iterations[0].Result; r == nil || r.Export.FiguresMissing != "" || r.Replaced == nil || r.Export.Precision == nil {
				t.Errorf("%+v", third.Projects[0].Iterations[0])
			}
			compareImages()
			b.verify(t)
			figures, others = count()
			wantOutcomes(t, b.nightly(t, Choice{}, o), map[Outcome]int{Present: 2})
			if f, more := count(); f != figures || more != others+2 {
				t.Errorf("an idle night makes %d requests for figures and %d others, want 0 and 2", f-figures, more-others)
			}
		})
	}
}

// A service that fails when it is asked again changes nothing; one that refuses the key
// ends the night.
func TestFiguresAskedForAgainFail(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 7, Images: 5})
	status := 404
	b.front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/performance") {
			w.WriteHeader(status)
		}
		return strings.HasSuffix(r.URL.Path, "/performance")
	})
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 1})
	before := b.snapshot(t)
	status = 500
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Present: 1})
	status = 401
	if night := b.nightly(t, Choice{}, NightlyOptions{}); night.Err == nil || !strings.Contains(night.Err.Error(), "401") {
		t.Errorf("%+v", night)
	}
	if fmt.Sprint(before) != fmt.Sprint(b.snapshot(t)) {
		t.Error("the warehouse is not as it was")
	}
}

// An iteration with times that cannot be read is exported, once, and can be the latest.
func TestUnreadTimesOfAnIteration(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 7, Images: 5, Iterations: 2})
	last := b.service.Projects()[0].Iterations[1].ID
	b.front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/iterations") || strings.Contains(r.URL.Path, "/performance") {
			return false
		}
		answer := httptest.NewRecorder()
		b.service.ServeHTTP(answer, r)
		body := answer.Body.String()
		if at := strings.Index(body, `"id":"`+last.String()); at >= 0 {
			end := at + strings.Index(body[at:], "}")
			body = body[:at] + strings.ReplaceAll(body[at:end], `"trainedAt":"2`, `"trainedAt":"the year 2`) + body[end:]
		}
		io.WriteString(w, body)
		return true
	})
	result, err := b.export(t, b.request())
	if err != nil || result.Export.Iteration != last || !result.Export.TrainedAt.IsZero() || result.Export.Created.IsZero() {
		t.Fatalf("%+v, %v", result.Export, err)
	}
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 1, Present: 1})
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Present: 2})
	b.verify(t)
}

// A time of an image that cannot be read is null, told once, and fails nothing.
func TestUnreadTimeOfAnImage(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 7, Images: 300})
	b.front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/images") {
			return false
		}
		page := httptest.NewRecorder()
		b.service.ServeHTTP(page, r)
		io.WriteString(w, strings.ReplaceAll(page.Body.String(), `"created":"2`, `"created":"year 2`))
		return true
	})
	var log bytes.Buffer
	r := b.request()
	r.Log = slog.New(slog.NewTextHandler(&log, nil))
	result, err := b.export(t, r)
	if err != nil || result.Export.Images() != 300 || len(result.Unread) != 2 || !strings.HasPrefix(result.Unread["created"], `"year 2`) {
		t.Fatalf("%+v, %v", result, err)
	}
	if strings.Count(log.String(), "field=created") != 1 || strings.Count(log.String(), "field=tags[].created") != 1 {
		t.Errorf("log %s", &log)
	}
	b.verify(t)
}

// An iteration is exported again for more figures, not for others.
func TestFewerFiguresMissing(t *testing.T) {
	lacking := func(n int) extract.Performance {
		one := 0.5
		return extract.Performance{Precision: &one, Tags: make([]extract.TagPerformance, 3), Lacking: n, Missing: "the service gave no recall"}
	}
	none := extract.Performance{Missing: "the service answered 404"}
	for _, tc := range []struct {
		before, now extract.Performance
		want        bool
	}{
		{none, none, false},
		{none, lacking(3), true},
		{lacking(3), none, false},
		{lacking(3), lacking(3), false},
		{lacking(3), lacking(4), false},
		{lacking(3), lacking(1), true},
		{lacking(3), extract.Performance{Precision: lacking(0).Precision, Tags: make([]extract.TagPerformance, 3)}, true},
		{lacking(1), extract.Performance{Precision: lacking(0).Precision, Tags: make([]extract.TagPerformance, 2)}, false}, // a tag less
	} {
		before, now := missingFigures(tc.before, 3), missingFigures(tc.now, 3)
		if got := fewerMissing(now, before); got != tc.want {
			t.Errorf("%q after %q: fewer is %v", now, before, got)
		}
	}
}
