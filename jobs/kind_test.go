package jobs

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// The kind of a model is the type of its domain, whatever classificationType says;
// the rows decide if the service does not, and boxes overrule it.
func TestModelKind(t *testing.T) {
	const general, compact = "ee85a74c-405e-4adc-bb47-ffa8ca0c9f31", "0732100f-1a38-4e49-a514-c9b44c697ab5"
	detector, multilabel, multiclass := simulated.Config{Kind: simulated.Detection, Images: 3}, simulated.Config{Kind: simulated.Multilabel, Images: 3}, simulated.Config{Kind: simulated.Multiclass, Images: 3}
	nothing := simulated.Config{Kind: simulated.Detection} // a detector without images
	calls := func(c simulated.Config, classificationType string) simulated.Config {
		c.ClassificationType = classificationType
		return c
	}
	// replace changes the answers for paths that contain a text.
	replace := func(in, old, new string) func(path, body string) string {
		return func(path, body string) string {
			if strings.Contains(path, in) {
				return strings.ReplaceAll(body, old, new)
			}
			return body
		}
	}
	refused := func(path, body string) string {
		if strings.Contains(path, "/domains") {
			return `{"code":"NotFound","message":"no such operation"}`
		}
		return body
	}
	unlisted := func(path, body string) string {
		if strings.HasSuffix(path, "/domains") {
			return "[]"
		}
		return body
	}
	for name, tc := range map[string]struct {
		config  simulated.Config
		answer  func(path, body string) string // what the service answers instead; may be nil
		want    string
		warning string
	}{
		"detector, Multilabel":         {calls(detector, "Multilabel"), nil, schema.Detection, ""},
		"detector, Multiclass":         {calls(detector, "Multiclass"), nil, schema.Detection, ""},
		"detector, null":               {calls(detector, "null"), nil, schema.Detection, ""},
		"classifier, Multilabel":       {multilabel, nil, schema.Classification, ""},
		"classifier, null":             {calls(multiclass, "null"), nil, schema.Classification, ""},
		"detector without a row":       {nothing, nil, schema.Detection, ""},
		"detector, domains refused":    {detector, refused, schema.Detection, "its rows decide"},
		"classifier, domains refused":  {multilabel, refused, schema.Classification, "its rows decide"},
		"a domain that is not listed":  {nothing, unlisted, schema.Detection, ""},
		"a domain that nobody knows":   {multilabel, replace("/projects/", general, "aaaaaaaa"+general[8:]), schema.Classification, "its rows decide"},
		"an unknown type":              {detector, replace("/domains", "ObjectDetection", "Video"), schema.Detection, "unknown type"},
		"boxes without a detector":     {detector, replace("/domains", "ObjectDetection", "Classification"), schema.Detection, "there are boxes"},
		"the domain of the project":    {nothing, replace("/iterations/", `"domainId":"`, `"was":"`), schema.Detection, ""},
		"the domain of the iteration":  {nothing, replace("/projects/", `"settings":{"classificationType":"Multilabel","domainId":"da2e3a8a-40a5-4171-82f4-58522f70fbc1"`, `"settings":{"domainId":"`+compact+`"`), schema.Detection, ""},
		"no domain at all, classifier": {multiclass, replace("/projects/", `"domainId":"`, `"was":"`), schema.Classification, "neither the iteration nor its project has a domain"},
	} {
		t.Run(name, func(t *testing.T) {
			service, err := simulated.New(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				whole := httptest.NewRecorder()
				service.ServeHTTP(whole, r)
				body := whole.Body.String()
				if tc.answer != nil {
					body = tc.answer(r.URL.Path, body)
				}
				if strings.HasPrefix(body, `{"code":`) {
					w.WriteHeader(http.StatusNotFound)
				}
				if _, err := w.Write([]byte(body)); err != nil {
					t.Error(err)
				}
			})
			client, err := extract.NewClient(extract.Options{Endpoint: serveHTTP(t, handler), Key: "simulated", Rate: 1e6})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			project, warehouse := service.Projects()[0], localStore(t)
			_, err = Export(t.Context(), client, warehouse, Request{Project: project.ID, Iteration: Latest, Concurrency: 1, Version: "test",
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
			if err != nil {
				t.Fatal(err)
			}
			e, _, err := load.ReadExport(t.Context(), warehouse, project.ID, project.Iterations[0].ID)
			if err != nil || e.ModelKind != tc.want {
				t.Errorf("model_kind is %q, want %q (%v)", e.ModelKind, tc.want, err)
			}
			if got := log.String(); !strings.Contains(got, tc.warning) || tc.warning == "" && got != "" {
				t.Errorf("logged %q, want %q", got, tc.warning)
			}
		})
	}
}

// A night lists the domains once, and an idle night does not ask for them.
func TestModelKindIsAskedOnce(t *testing.T) {
	service, err := simulated.New(simulated.Config{Images: 2, Projects: 2, Iterations: 3})
	if err != nil {
		t.Fatal(err)
	}
	client, err := extract.NewClient(extract.Options{Endpoint: serveHTTP(t, service), Key: "simulated", Rate: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	asked := func() (n int) {
		for _, r := range service.Requests() {
			if strings.Contains(r.Path, "/domains") {
				n++
			}
		}
		return n
	}
	resource := Resource{Name: "one", Client: client, Store: localStore(t), Request: Request{Concurrency: 2, Version: "test"}}
	for night := range 2 {
		if _, err := Nightly(t.Context(), []Resource{resource}, NightlyOptions{}); err != nil {
			t.Fatal(err)
		}
		if n := asked(); n != 1 {
			t.Errorf("after night %d the domains were asked for %d times, want once", night+1, n)
		}
	}
}
