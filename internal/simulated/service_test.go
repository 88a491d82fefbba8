package simulated

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

func TestFloatText(t *testing.T) {
	for f, want := range map[float32]string{
		0: "0.0", 1: "1.0", -1: "-1.0", 0.5: "0.5", 0.9999961: "0.9999961", 8.79471951e-13: "8.79471951E-13",
		0.901985943: "0.901985943", 0.08163983: "0.08163983", 0.215288937: "0.215288937", 0.6662499: "0.6662499",
		1e-5: "0.00001", 9.5e-6: "9.5E-06", 1e-20: "1E-20", 1234567: "1234567.0", 1e7: "1E+07", 816.25: "816.25",
		math.SmallestNonzeroFloat32: "1.401298E-45", math.MaxFloat32: "3.40282347E+38",
	} {
		if got := string(appendFloat(nil, f)); got != want {
			t.Errorf("appendFloat(%g) = %s, want %s", f, got, want)
		}
		if float32(Float(f)) != f {
			t.Errorf("Float(%g) = %g", f, Float(f))
		}
	}
}

// get asks a service for a path below the first project.
func get(t *testing.T, s *Service, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/customvision/v3.2/training/projects/"+s.Projects()[0].ID.String()+path, nil)
	r.Header.Set("Training-key", s.config.Key)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Header().Get("apim-request-id") == "" {
		t.Errorf("%s: %v, headers %v", path, err, w.Header())
	}
	return w.Code, string(body)
}

func newService(t *testing.T, c Config) (*Service, string) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, "/iterations/" + s.Projects()[0].Iterations[0].ID.String()
}

type listedImage struct {
	ID          string `json:"id"`
	Created     string `json:"created"`
	ImageURI    string `json:"imageUri"`
	Predictions []struct {
		TagID       string          `json:"tagId"`
		Probability float64         `json:"probability"`
		Box         json.RawMessage `json:"boundingBox"`
	} `json:"predictions"`
	Tags []struct {
		TagID string `json:"tagId"`
	} `json:"tags"`
	Regions []json.RawMessage `json:"regions"`
}

// list pages through an iteration.
func list(t *testing.T, s *Service, iteration, query string) (images []listedImage) {
	t.Helper()
	for skip := 0; ; skip += 100 {
		code, body := get(t, s, fmt.Sprintf("%s/performance/images?take=100&skip=%d%s", iteration, skip, query))
		var page []listedImage
		if err := json.Unmarshal([]byte(body), &page); err != nil || code != http.StatusOK {
			t.Fatal(code, body, err)
		}
		if len(page) == 0 {
			return images
		}
		images = append(images, page...)
	}
}

func TestPagingCoversEveryImageOnce(t *testing.T) {
	for _, kind := range []Kind{Multiclass, Multilabel, Detection} {
		s, iteration := newService(t, Config{Kind: kind, Images: 250, Tags: 6})
		tag := s.Projects()[0].Tags[2].ID.String()
		for _, query := range []string{"&orderBy=Oldest", "&orderBy=Newest", "", "&orderBy=Oldest&tagIds=" + tag} {
			seen := map[string]bool{}
			ties := 0
			images := list(t, s, iteration, query)
			for i, img := range images {
				if seen[img.ID] {
					t.Errorf("%s %s: image %s twice", kind, query, img.ID)
				}
				seen[img.ID] = true
				if i > 0 && img.Created == images[i-1].Created {
					ties++
				}
				if len(img.Created) < len("2006-01-02T15:04:05.000") || strings.HasSuffix(img.Created, "Z") || !strings.Contains(img.ImageURI, "sig=") {
					t.Errorf("image %+v", img)
				}
				if kind != Detection && (img.Regions != nil || img.Predictions[0].Box != nil) {
					t.Errorf("a classifier's image has boxes: %+v", img)
				}
			}
			if _, count := get(t, s, iteration+"/performance/images/count?"+strings.TrimPrefix(query, "&")); count != fmt.Sprint(len(images)) || len(images) == 0 {
				t.Errorf("%s %s: %d images, counted %s", kind, query, len(images), count)
			}
			if ties == 0 && !strings.Contains(query, "tagIds") {
				t.Errorf("%s %s: no two images share a time", kind, query)
			}
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	a, _ := newService(t, Config{Seed: 9, Kind: Detection, Images: 20})
	b, _ := newService(t, Config{Seed: 9, Kind: Detection, Images: 20})
	c, _ := newService(t, Config{Seed: 10, Kind: Detection, Images: 20})
	page := func(s *Service) string { return string(s.AppendPage(nil, 0, 0, 5, 10)) }
	if page(a) != page(b) || page(a) == page(c) {
		t.Error("a page does not depend on the seed alone")
	}
}

// What one seed makes of two configurations has its own ids, except that a project
// may grow.
func TestIDsDiffer(t *testing.T) {
	seen := map[string]Config{}
	for _, c := range []Config{{}, {Kind: Multiclass}, {Kind: Detection}, {Tags: 3}, {Kind: Detection, Regions: 9}, {Kind: Detection, Predictions: 9}, {Seed: 1}} {
		c.Images = 1
		s, _ := newService(t, c)
		p, img := s.Projects()[0], s.Image(0, 0, 0)
		for _, id := range []schema.ID{p.ID, p.Iterations[0].ID, p.Tags[0].ID, img.ID} {
			if other, ok := seen[id.String()]; ok {
				t.Errorf("%+v and %+v share %s", c, other, id)
			}
			seen[id.String()] = c
		}
	}
	few, _ := newService(t, Config{Images: 1})
	many, _ := newService(t, Config{Images: 9})
	if few.Projects()[0].ID != many.Projects()[0].ID || few.Image(0, 0, 0).ID != many.Image(0, 0, 0).ID {
		t.Error("the number of images changes ids")
	}
}

// The figures for a classifier are those that anyone gets who counts.
func TestPerformanceAgreesWithPages(t *testing.T) {
	for _, kind := range []Kind{Multiclass, Multilabel} {
		s, iteration := newService(t, Config{Kind: kind, Images: 300, Tags: 4})
		code, body := get(t, s, iteration+"/performance?threshold=0.6")
		var got struct {
			Tags []struct {
				ID                string
				Precision, Recall float64
			} `json:"perTagPerformance"`
			Precision, Recall float64
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK || len(got.Tags) != 4 {
			t.Fatal(code, body, err)
		}
		images := list(t, s, iteration, "")
		for _, tag := range got.Tags {
			hits, positive, labels := 0.0, 0.0, 0.0
			for _, img := range images {
				labelled := false
				for _, l := range img.Tags {
					labelled = labelled || l.TagID == tag.ID
				}
				if labelled {
					labels++
				}
				for _, p := range img.Predictions {
					if p.TagID == tag.ID && p.Probability >= 0.6 {
						positive++
						if labelled {
							hits++
						}
					}
				}
			}
			if math.Abs(tag.Precision-hits/positive) > 1e-6 || math.Abs(tag.Recall-hits/labels) > 1e-6 {
				t.Errorf("%s: %+v, counted %v and %v", kind, tag, hits/positive, hits/labels)
			}
		}
	}
}

// Detection on an example worked by hand: two regions of one tag, three boxes.
func TestDetectionFollowsVOC(t *testing.T) {
	tag := Tag{Name: "a"}
	box := func(left float32) Box { return Box{left, 0, 0.25, 0.5} }
	at := func(p float32, b Box) Prediction { return Prediction{Tag: tag, Probability: p, Box: &b} }
	img := Image{
		Regions:     []Region{{Tag: tag, Box: box(0)}, {Tag: tag, Box: box(0.5)}},
		Predictions: []Prediction{at(0.6, box(0.5)), at(0.9, box(0)), at(0.8, box(0))}, // the third finds a region that is taken
	}
	got := judge(img, map[Tag]int{tag: 0}, 0.5)[0]
	want := []verdict{{Float(0.9), true}, {Float(0.8), false}, {Float(0.6), true}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
	// Precision 1 up to recall 1/2, then 2/3 up to recall 1.
	if ap := averagePrecision(got, 2); math.Abs(ap-(0.5+0.5*2/3)) > 1e-12 {
		t.Errorf("average precision %v", ap)
	}
	if iou := intersectionOverUnion(Box{0, 0, 0.5, 0.5}, Box{0.25, 0, 0.5, 0.5}); math.Abs(iou-1.0/3) > 1e-12 {
		t.Errorf("intersection over union %v", iou)
	}
}

func TestRefusals(t *testing.T) {
	s, iteration := newService(t, Config{Images: 3, Training: 1})
	training := "/iterations/" + s.Projects()[0].Iterations[1].ID.String()
	for path, want := range map[string]string{
		iteration + "x": "404 NotFoundIteration", training + "/performance": "400 BadRequestIterationIsNotTrained",
		iteration + "/performance/images?take=257":                                 "400 BadRequestExceededBatchSize",
		iteration + "/performance/images?tagIds=" + strings.Repeat("x,", 20) + "x": "400 BadRequestInvalidIds",
		iteration + "/performance?threshold=2":                                     "400 BadRequest",
		"x":                                                                        "404 NotFoundProject",
	} {
		code, body := get(t, s, path)
		var e struct{ Code, Message string }
		if err := json.Unmarshal([]byte(body), &e); err != nil || fmt.Sprint(code, " ", e.Code) != want || e.Message == "" {
			t.Errorf("%s: %d %s, want %s", path, code, body, want)
		}
	}
	s.config.Key = "another"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/customvision/v3.2/training/projects", nil))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("wrong key: %d", w.Code)
	}
}

func TestRateLimit(t *testing.T) {
	s, iteration := newService(t, Config{Images: 3, Rate: 2, RetryAfter: true})
	codes := map[int]int{}
	for range 10 {
		code, body := get(t, s, iteration)
		codes[code]++
		if code == http.StatusTooManyRequests && !strings.Contains(body, "Please retry after 1 second.") {
			t.Errorf("it says %s", body)
		}
	}
	if codes[http.StatusOK] < 2 || codes[http.StatusTooManyRequests] == 0 {
		t.Errorf("codes = %v", codes)
	}
}

func TestParseFault(t *testing.T) {
	f, err := ParseFault("slow:page=3,times=2,delay=1s,by=-4")
	if err != nil || fmt.Sprint(f) != "{slow 3 2 1s -4 }" {
		t.Errorf("%v, %v", f, err)
	}
	if f, err := ParseFault("html"); err != nil || f.Page != AnyPage || f.Times != 0 {
		t.Errorf("%v, %v", f, err)
	}
	for _, bad := range []string{"", "nope", "slow:page=x", "slow:what=1", "slow:delay=1"} {
		if f, err := ParseFault(bad); err == nil {
			t.Errorf("ParseFault(%q) = %v", bad, f)
		}
	}
}

// What stands before the service may have begun the answer: that is no cause for a
// complaint in the log.
func TestAnswerThatHasBegun(t *testing.T) {
	s, iteration := newService(t, Config{Images: 1})
	var complaints bytes.Buffer
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, " ")
		s.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(&complaints, "", 0)
	server.Start()
	r, err := http.NewRequest(http.MethodGet, server.URL+"/customvision/v3.2/training/projects/"+s.Projects()[0].ID.String()+iteration, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Training-key", "simulated")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	server.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), " {") || complaints.Len() > 0 {
		t.Errorf("status %d, body %s, error %v, log %s", resp.StatusCode, body, err, &complaints)
	}
}
