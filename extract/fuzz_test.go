package extract

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzAnswer: whatever the service says in place of a list of tags or figures, it
// is an error or a list in which each has an id, once, and texts of some length.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`[]`, `null`, `{}`, `[{"id":"26571c15-ac69-4b76-8806-de27e33eb796","name":"a","type":"Regular","imageCount":5}]`,
		`[{"id":"26571c15-ac69-4b76-8806-de27e33eb796"},{"id":"26571C15-AC69-4B76-8806-DE27E33EB796"}]`,
		`{"perTagPerformance":[{"id":"26571c15-ac69-4b76-8806-de27e33eb796","precision":1.0}],"precision":1E-3,"recall":null}`,
		`{"perTagPerformance":[{"id":"26571c15-ac69-4b76-8806-de27e33eb796","precision":"NaN"},{"name":null}],"precision":"Infinity","code":1}`, `null`, `{"code":"x"}`,
		`[{"id":"26571c15-ac69-4b76-8806-de27e33eb796","created":"2018-10-18T17:05:35.8458152","trainedAt":5,"lastModified":"0001-01-01T00:00:00"}]`,
		`[{"id":"26571c15-ac69-4b76-8806-de27e33eb796","ID":"x"}]`, `[[[[`, "\xff", `2147483648`, `{"a":{"a":1,"A":2}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var tags []Tag
		if err := decodeAnswer(body, &tags); err == nil && checkAll(tags) == nil {
			met := map[string]bool{}
			for _, tag := range tags {
				if id := tag.ID.String(); tag.ID.IsZero() || met[id] || len(tag.Name) > 64<<10 {
					t.Errorf("it took tag %s of %q", id, body)
				}
				met[tag.ID.String()] = true
			}
			if !json.Valid(body) {
				t.Errorf("it took what is not json: %q", body)
			}
		}
		var figures *performanceAnswer
		if err := decodeAnswer(body, &figures); err == nil && figures.check() == nil {
			p := figures.performance(testKey)
			whole := p.Precision != nil && p.Recall != nil && p.AveragePrecision != nil && len(p.Tags) == len(figures.Tags) && figures.Tags != nil
			for _, tag := range p.Tags {
				whole = whole && tag.Precision != nil && tag.PrecisionStdDeviation != nil && tag.Recall != nil && tag.RecallStdDeviation != nil && tag.AveragePrecision != nil
			}
			if whole != (p.Missing == "") || len(p.Missing) > 5000 {
				t.Errorf("it took %q for %+v", body, p)
			}
		}
		var iterations []Iteration
		if err := decodeAnswer(body, &iterations); err == nil && checkAll(iterations) == nil {
			for i := range iterations {
				iterations[i].dropUnread(func(field, text string) {
					if field == "" || text == "" {
						t.Errorf("an unread time of %q has field %q and text %q", body, field, text)
					}
				})
				for _, at := range []*Time{iterations[i].Created, iterations[i].LastModified, iterations[i].TrainedAt} {
					if at != nil && (at.unread != "" || at.Year() < 1 || at.Year() > 9999) {
						t.Errorf("it took %q for %v", body, at)
					}
				}
			}
		}
		var n *int32
		_ = decodeAnswer(body, &n) // it must not panic
	})
}

// FuzzEndpoint: whatever is taken for an endpoint is a scheme and a host, http on
// loopback only, and what is not is not repeated if it could be a key.
func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{"westeurope", "West Europe", "https://name.cognitiveservices.azure.com/", "http://127.0.0.1:1", "http://example.com",
		"https://user:password@host", "https://host/path?query#fragment", "://", "0123456789abcdef0123456789abcdef", "https://[::1]:8080", "http://localhost"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseEndpoint(text)
		if err != nil {
			if len(text) > 20 && !strings.ContainsAny(text, ".:/") && strings.TrimSpace(text) == text && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats %q: %v", text, err)
			}
			return
		}
		if u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
			t.Errorf("%q is taken for %s", text, u)
		}
		if again, err := ParseEndpoint(u.String()); err != nil || *again != *u {
			t.Errorf("%s is read as %v, %v", u, again, err)
		}
	})
}
