package extract

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answers makes a client of a service that answers everything with one text, and a log of
// its warnings.
func answers(t *testing.T, status int, text string) (*Client, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	client := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	return client, &log
}

// A recorded answer of 2018 has times without a zone. They are UTC.
func TestIterationsWithoutZone(t *testing.T) {
	body, err := os.ReadFile("testdata/answers/iterations-without-zone.json")
	if err != nil {
		t.Fatal(err)
	}
	client, log := answers(t, 200, string(body))
	list, err := client.Iterations(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range list {
		for _, at := range []*Time{it.Created, it.LastModified, it.TrainedAt} {
			got = append(got, at.Format("2006-01-02T15:04:05.999999Z07:00"))
		}
	}
	want := []string{"2018-10-18T17:00:00.123456Z", "2018-10-18T17:05:36.123456Z", "2018-10-18T17:05:35.845815Z",
		"2020-02-11T16:30:00Z", "2020-02-11T16:39:26.075Z", "2020-02-11T16:39:26.075Z"}
	if diff := cmp.Diff(want, got); diff != "" || log.Len() > 0 {
		t.Errorf("times (-want +got):\n%slog %s", diff, log)
	}
}

// A time that cannot be read is nil, and told once with its field and text.
func TestUnreadTimes(t *testing.T) {
	for text, told := range map[string]string{
		`"2018-10-18T17:05:35.8458152"`: "", `"2018-10-18T17:05:35.845815234Z"`: "", `"0001-01-01T00:00:00"`: "", `"2018-10-18T17:05:35+02:00"`: "", `null`: "",
		`"yesterday"`: `\"yesterday\"`, `""`: `\"\"`, `1539882335`: "1539882335", `"/Date(1539882335000)/"`: "/Date(1539882335000)/",
		`{"a": 1}`: `{\"a\": 1}`, `true`: "true", `"` + strings.Repeat("9", 1000) + `"`: "999...", `"` + testKey + `"`: "REDACTED", `"0000-01-01T00:00:00"`: "0000-01-01",
	} {
		client, log := answers(t, 200, `[{"id":"`+iterationID.String()+`","status":"Completed","trainedAt":`+text+`,"created":"2020-02-11T16:30:00Z"}]`)
		for range 2 {
			list, err := client.Iterations(t.Context(), projectID)
			if err != nil || len(list) != 1 || list[0].Created == nil {
				t.Fatalf("%s: %+v, %v", text, list, err)
			}
			if read := list[0].TrainedAt != nil; read != (told == "" && text != "null") {
				t.Errorf("%s is read as %v", text, list[0].TrainedAt)
			}
		}
		lines := strings.Count(log.String(), "\n")
		if told == "" && lines > 0 || told != "" && (lines != 1 || !strings.Contains(log.String(), "field=trainedAt") || !strings.Contains(log.String(), told) ||
			!strings.Contains(log.String(), "iteration="+iterationID.String()) || log.Len() > 500 || strings.Contains(log.String(), testKey)) {
			t.Errorf("%s is told as %s", text, log)
		}
	}
	client, log := answers(t, 200, `{"id":"`+iterationID.String()+`","trainedAt":"soon"}`)
	if it, err := client.Iteration(t.Context(), projectID, iterationID); err != nil || it.TrainedAt != nil || !strings.Contains(log.String(), "soon") {
		t.Errorf("%+v, %v, %s", it, err, log)
	}
}

// What the service's evaluation lacks is nil and named. What is no evaluation is an error.
func TestPerformanceLacks(t *testing.T) {
	recorded, err := os.ReadFile("testdata/answers/performance-without-tags.json")
	if err != nil {
		t.Fatal(err)
	}
	tag := func(figures string) string {
		return `{"precision":0.5,"recall":0.25,"averagePrecision":1,"perTagPerformance":[{"id":"` + projectID.String() + `",` + figures + `}]}`
	}
	const all = `"name":"a","precision":0.5,"precisionStdDeviation":0.0,"recall":1E-3,"recallStdDeviation":0,"averagePrecision":1e-9`
	for name, tc := range map[string]struct {
		status       int
		body         string
		missing, err string
	}{
		"all":            {200, tag(all), "", ""},
		"recorded":       {200, string(recorded), "the service gave no averagePrecision, no perTagPerformance", ""},
		"empty":          {200, `{}`, "the service gave no precision, no recall, no averagePrecision, no perTagPerformance", ""},
		"nulls":          {200, `{"precision":null,"recall":1,"averagePrecision":1,"perTagPerformance":null}`, "the service gave no precision, no perTagPerformance", ""},
		"NaN":            {200, tag(strings.Replace(all, "1E-3", `"NaN"`, 1)), `the service gave no perTagPerformance[].recall but "NaN"`, ""},
		"a word":         {200, strings.Replace(tag(all), "0.25", `"Infinity"`, 1), `the service gave no recall but "Infinity"`, ""},
		"a tag's id":     {200, tag(`"id":null`), "", `"id" is there twice`},
		"no id of a tag": {200, `{"precision":0.5,"recall":0.25,"averagePrecision":1,"perTagPerformance":[{"name":"a"}]}`, "the service gave no perTagPerformance[].id", ""},
		"404":            {404, `{"code":"NotFoundIterationPerformance","message":"None."}`, "the service answered 404 NotFoundIterationPerformance: None", ""},
		"400":            {400, ``, "the service answered 400 Bad Request", ""},
		"403":            {403, ``, "", "403 Forbidden"},
		"500":            {500, ``, "", "500 Internal"},
		"no evaluation":  {200, `null`, "", "the answer is no evaluation"},
		"an error":       {200, `{"code":"ErrorUnknown","message":"x"}`, "", "200 with an error document"},
		"a list":         {200, `[]`, "", "unexpected answer"},
		"not finite":     {200, `{"precision":1e999}`, "", "unexpected answer"},
		"twice":          {200, `{"perTagPerformance":[{"id":"` + projectID.String() + `"},{"id":"` + projectID.String() + `"}]}`, "", "is listed twice"},
	} {
		client, _ := answers(t, tc.status, tc.body)
		p, err := client.Performance(t.Context(), projectID, iterationID, 0.5, 0.3)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %+v, error %v, want %s", name, p, err, tc.err)
			}
			continue
		}
		if err != nil || p.Missing != tc.missing {
			t.Errorf("%s: missing %q, error %v; want %q", name, p.Missing, err, tc.missing)
		}
	}
}
