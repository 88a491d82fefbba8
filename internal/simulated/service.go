package simulated

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/cvexport/cvexport/schema"
)

// Service is the simulated service. It is an http.Handler.
type Service struct {
	config   Config
	salt     uint64                    // of ids
	projects atomic.Pointer[[]Project] // replaced by a copy on every change
	limiter  *rate.Limiter             // nil: no limit
	mux      *http.ServeMux

	relabelled atomic.Int64 // how often

	mu       sync.Mutex
	faults   []*Fault
	requests []Request
	outage   int // number of requests still to answer with 503
	removed  int // images removed from the start
	added    int // images added at the end
	measured map[string]performance
}

// versions are those of the API.
var versions = []string{"v3.2", "v3.3"}

// Request is a request that the service received.
type Request struct {
	Path, Query string
	Page        int // from 0; -1 if it was not for a page
}

// New creates a service.
func New(config Config) (*Service, error) {
	config.setDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Service{config: config, salt: config.salt(), mux: http.NewServeMux(), measured: map[string]performance{}}
	if config.Rate > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(config.Rate), int(math.Ceil(config.Rate)))
	}
	s.build()
	s.handle("", s.getProjects)
	s.handle("/{project}", s.getProject)
	s.handle("/{project}/tags", s.getTags)
	s.handle("/{project}/iterations", s.getIterations)
	s.handle("/{project}/iterations/{iteration}", s.getIteration)
	s.handle("/{project}/iterations/{iteration}/performance", s.getPerformance)
	s.handle("/{project}/iterations/{iteration}/performance/images/count", s.getCount)
	s.handle("/{project}/iterations/{iteration}/performance/images", s.getPage)
	s.handleDomains()
	return s, nil
}

// handle answers requests for a path below the projects. next is called with the
// indices of the path's project and iteration, or 0 for those that it does not have.
func (s *Service) handle(path string, next func(w http.ResponseWriter, r *http.Request, p, k int)) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		p, k := 0, 0
		if id := r.PathValue("project"); id != "" {
			p = slices.IndexFunc(s.Projects(), func(p Project) bool { return p.ID.String() == id })
		}
		if id := r.PathValue("iteration"); id != "" && p >= 0 {
			k = slices.IndexFunc(s.Projects()[p].Iterations, func(i Iteration) bool { return i.ID.String() == id && !i.Deleted })
		}
		switch {
		case p < 0:
			refuse(w, http.StatusNotFound, "NotFoundProject", "Invalid project id")
		case k < 0:
			refuse(w, http.StatusNotFound, "NotFoundIteration", "Invalid iteration id")
		case strings.Contains(path, "/performance") && s.Projects()[p].Iterations[k].Status != Completed:
			refuse(w, http.StatusBadRequest, "BadRequestIterationIsNotTrained", "The iteration is not trained.")
		case strings.Count(r.URL.Query().Get("tagIds"), ",") >= maxTagIDs:
			refuse(w, http.StatusBadRequest, "BadRequestInvalidIds", fmt.Sprintf("The number of tag ids is limited to %d", maxTagIDs))
		default:
			next(w, r, p, k)
		}
	}
	for _, version := range versions {
		s.mux.HandleFunc("GET /customvision/"+version+"/training/projects"+path, handler)
	}
}

// parameter returns a number of the query, and whether it is from 0 to highest.
func parameter[T int | float64](r *http.Request, name string, value, highest T) (T, bool) {
	if text := r.URL.Query().Get(name); text != "" && json.Unmarshal([]byte(text), &value) != nil {
		return 0, false
	}
	return value, value >= 0 && value <= highest
}

// Projects returns the projects with their iterations, in order of training. Callers
// must not modify them.
func (s *Service) Projects() []Project { return *s.projects.Load() }

// Requests returns the requests so far.
func (s *Service) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Outage makes the next requests fail with 503.
func (s *Service) Outage(requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = requests
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := Request{Path: r.URL.Path, Query: r.URL.RawQuery, Page: -1}
	if strings.HasSuffix(r.URL.Path, "/performance/images") {
		if skip, err := strconv.Atoi(r.URL.Query().Get("skip")); err == nil {
			request.Page = pageAt(skip)
		}
	}
	s.mu.Lock()
	s.requests = append(s.requests, request)
	call := len(s.requests)
	out := s.outage > 0
	if out {
		s.outage--
	}
	s.mu.Unlock()
	w.Header().Set("apim-request-id", s.newID(s.random(uint64(call), 0)).String())

	if s.config.Latency > 0 {
		select {
		case <-time.After(s.config.Latency):
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case out:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Header.Get("Training-key") != s.config.Key:
		write(w, http.StatusUnauthorized, `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}`)
	case s.limiter != nil && !s.limiter.Allow():
		s.throttled(w)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

func (s *Service) throttled(w http.ResponseWriter) {
	if s.config.RetryAfter {
		w.Header().Set("Retry-After", "1")
	}
	write(w, http.StatusTooManyRequests, `{"error":{"code":"429","message":"Requests to the Custom Vision Training API have exceeded rate limit of your current CustomVision S0 pricing tier. Please retry after 1 second."}}`)
}

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if status != http.StatusOK { // which goes without saying, and may have been said
		w.WriteHeader(status)
	}
	fmt.Fprint(w, body) // it fails only if the client is gone
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	write(w, status, fmt.Sprintf(`{"code":%q,"message":%q}`, code, message))
}

// answer writes a value as JSON. All values here can be encoded.
func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	write(w, http.StatusOK, string(body))
}

func zulu(t time.Time) string { return t.Format("2006-01-02T15:04:05.999Z") }

func (s *Service) project(p int) map[string]any {
	project := s.Projects()[p]
	return map[string]any{
		"id": project.ID, "name": project.Name, "description": "",
		"settings": map[string]any{"domainId": s.domain(), "classificationType": s.classificationType(), "useNegativeSet": true},
		"created":  zulu(epoch), "lastModified": zulu(epoch.Add(time.Hour)), "thumbnailUri": nil, "drModeEnabled": false, "status": "Succeeded",
	}
}

func (s *Service) getProjects(w http.ResponseWriter, _ *http.Request, _, _ int) {
	list := []any{}
	for p := range s.Projects() {
		list = append(list, s.project(p))
	}
	answer(w, list)
}

func (s *Service) getProject(w http.ResponseWriter, _ *http.Request, p, _ int) {
	answer(w, s.project(p))
}

func (s *Service) getTags(w http.ResponseWriter, _ *http.Request, p, _ int) {
	counts := make([]int, s.config.Tags)
	for i := range s.config.Images {
		for _, t := range s.labels(p, i) {
			counts[t]++
		}
	}
	list := []any{}
	for t, tag := range s.Projects()[p].Tags {
		list = append(list, map[string]any{"id": tag.ID, "name": tag.Name, "description": nil, "type": "Regular", "imageCount": counts[t] * 5})
	}
	answer(w, list)
}

func (s *Service) iteration(p, k int) map[string]any {
	it := s.Projects()[p].Iterations[k]
	out := map[string]any{
		"id": it.ID, "name": it.Name, "status": it.Status, "created": zulu(it.Made), "lastModified": zulu(it.Made.Add(17*time.Minute + it.modified)),
		"projectId": s.Projects()[p].ID, "exportable": false, "exportableTo": nil, "domainId": nil, "classificationType": nil,
		"trainingType": "Regular", "reservedBudgetInHours": 0, "trainingTimeInMinutes": 0, "publishName": nil, "originalPublishResourceId": nil,
	}
	if it.Published != "" {
		out["publishName"] = it.Published
	}
	if it.Status == Failed && it.Detail != "" {
		out["trainingErrorDetails"] = it.Detail
	}
	if it.Status == Completed {
		out["trainedAt"] = zulu(it.Made.Add(16*time.Minute + 433*time.Millisecond))
		out["exportableTo"] = []string{}
		out["domainId"] = s.domain()
		out["classificationType"] = s.classificationType()
	}
	return out
}

func (s *Service) getIterations(w http.ResponseWriter, _ *http.Request, p, _ int) {
	list := []any{}
	for k, it := range s.Projects()[p].Iterations {
		if !it.Deleted {
			list = append(list, s.iteration(p, k))
		}
	}
	answer(w, list)
}

func (s *Service) getIteration(w http.ResponseWriter, _ *http.Request, p, k int) {
	answer(w, s.iteration(p, k))
}

// single is encoded like the service's float32 figures.
type single float64

func (f single) MarshalJSON() ([]byte, error) { return appendFloat(nil, float32(f)), nil }

// evaluation is the service's evaluation of a tag or an iteration. The simulated one
// has no deviations.
type evaluation struct {
	Precision             single `json:"precision"`
	PrecisionStdDeviation single `json:"precisionStdDeviation"`
	Recall                single `json:"recall"`
	RecallStdDeviation    single `json:"recallStdDeviation"`
	AveragePrecision      single `json:"averagePrecision"`
}

func (f figures) evaluation() evaluation {
	return evaluation{Precision: single(f.precision()), Recall: single(f.recall()), AveragePrecision: single(f.averagePrecision)}
}

type tagPerformance struct {
	ID   schema.ID `json:"id"`
	Name string    `json:"name"`
	evaluation
}

type performance struct {
	Tags []tagPerformance `json:"perTagPerformance"`
	evaluation
}

func (s *Service) getPerformance(w http.ResponseWriter, r *http.Request, p, k int) {
	threshold, thresholdOK := parameter(r, "threshold", 0.5, 1)
	overlap, overlapOK := parameter(r, "overlapThreshold", 0.3, 1)
	if !thresholdOK || !overlapOK {
		refuse(w, http.StatusBadRequest, "BadRequest", "Invalid threshold or overlapThreshold")
		return
	}
	if s.takeFault(s.place(p, k, AnyPage), NoFigures) != nil {
		refuse(w, http.StatusNotFound, "NotFoundIterationPerformance", "The iteration has no performance.")
		return
	}
	answer(w, s.performance(p, k, threshold, overlap))
}

func (s *Service) performance(p, k int, threshold, overlap float64) performance {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(p, k, threshold, overlap)
	if done, ok := s.measured[key]; ok {
		return done
	}
	perTag, overall := s.measure(p, k, threshold, overlap)
	out := performance{Tags: []tagPerformance{}, evaluation: overall.evaluation()}
	for t, f := range perTag {
		tag := s.Projects()[p].Tags[t]
		out.Tags = append(out.Tags, tagPerformance{tag.ID, tag.Name, f.evaluation()})
	}
	s.measured[key] = out
	return out
}

func reset(w http.ResponseWriter, body []byte) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err) // the servers used here can be hijacked
	}
	fmt.Fprintf(buffer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2])
	buffer.Flush()
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
