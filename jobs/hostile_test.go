package jobs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/patience"
)

// says answers with a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// sayParts answers with texts one after the other.
func sayParts(texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, text := range texts {
			fmt.Fprint(w, text)
		}
	}
}

// repeats answers with a text over and over, so often, or -1 for ever.
func repeats(text string, times int) http.HandlerFunc {
	const chunk = 1000
	return func(w http.ResponseWriter, r *http.Request) {
		block := strings.Repeat(text, chunk)
		for n := 0; (times < 0 || n < times) && r.Context().Err() == nil; n += chunk {
			if _, err := fmt.Fprint(w, block); err != nil {
				return
			}
		}
	}
}

// bomb is 256 MiB of spaces, packed into 256 KiB; with -short an eighth of it.
var bomb = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // a level there is
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	size := 256
	if testing.Short() {
		size = 32
	}
	for range size {
		w.Write(spaces)
	}
	w.Close()
	return packed.Bytes()
})

func image(fields string) string {
	return `[{"id":"26571c15-ac69-4b76-8806-de27e33eb796",` + fields + `}]`
}

func nested(open, inside, end string, depth int) string {
	return strings.Repeat(open, depth) + inside + strings.Repeat(end, depth)
}

// Whatever a hostile or broken service answers to whatever request: the export ends
// with an error of limited length that says what is wrong, after no more requests
// than needed, and the warehouse is unchanged.
func TestHostileService(t *testing.T) {
	const year = 365 * 24 * 3600
	maxPage, long := 128, 10<<20 // MiB; bytes
	if testing.Short() {
		maxPage, long = 16, 1<<20
	}
	tooLong, pageTooLarge := fmt.Sprintf("the text has %d bytes", long), fmt.Sprintf("larger than %d MiB", maxPage)
	tagID := `"tagId":"6a6d50a1-8987-4283-89f6-92d94a923822"`
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed, with the key %q", r.Header.Get("Training-key"))
	}))
	defer elsewhere.Close()
	for name, tc := range map[string]struct {
		to     string // the end of the path of what is asked for
		answer http.HandlerFunc
		want   string
		tries  int // default 1
	}{
		"endless page":            {"/images", repeats("x", -1), "page 0 (images from 0): no answer from 127.0.0.1", 1},
		"endless list of images":  {"/images", repeats(image(`"width":1`)+",", -1), "the answer is " + pageTooLarge + "; if that is right, raise --max-page", 1},
		"endless tags":            {"/tags", repeats("[", -1), "the answer is larger than 16 MiB", 1},
		"endless count":           {"/count", repeats("1", -1), "the answer is larger than 16 MiB", 1},
		"a gigabyte of spaces":    {"/images", repeats("          ", 100<<20), pageTooLarge, 1},
		"spaces for a count":      {"/count", repeats(" ", 10<<20), "counting the images of project", 1},
		"endless failure":         {"/tags", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400); repeats("no ", -1)(w, r) }, "the service answered 400 Bad Request: no no no", 1},
		"endless header":          {"/tags", endlessHeader, "server response headers exceeded", 3},
		"depth, lists":            {"/images", says(nested("[", "", "]", 100_000)), "want an object, got an array", 3},
		"depth, in a new field":   {"/images", says(image(`"new":` + nested("[", "", "]", 100_000))), "image 0, byte 46, field new: nested deeper than 10000 levels", 3},
		"depth, objects":          {"/images", says(image(`"new":` + nested(`{"a":`, "1", "}", 100_000))), "field new: nested deeper than 10000 levels", 3},
		"depth, in tags":          {"/tags", says(nested(`[{"a":`, "1", "}]", 100_000)), "exceeded max depth", 1},
		"long tag name":           {"/images", says(image(`"predictions":[{"probability":1,` + tagID + `,"tagName":"` + strings.Repeat("x", long) + `"}]`)), "field predictions[0].tagName: " + tooLong + ", more than the limit of 65536", 3},
		"long uri":                {"/images", says(image(`"imageUri":"` + strings.Repeat("x", long) + `"`)), "field imageUri: " + tooLong, 3},
		"long field":              {"/images", says(image(`"` + strings.Repeat("x", long) + `":tru`)), "xxx...: ", 3},
		"long id":                 {"/images", says(`[{"id":"` + strings.Repeat("1", 60_000) + `"}]`), "is not a uuid", 3},
		"long name of a project":  {"/projects/PROJECT", sayParts(`{"id":"PROJECT",`, `"name":"`+strings.Repeat("x", long)+`"}`), fmt.Sprint(long, " bytes, more than the limit of 65536"), 1},
		"field twice":             {"/images", says(image(`"width":1,"width":2`)), "field width: the field is there twice", 3},
		"field twice, in a tag":   {"/tags", says(`[{"id":"PROJECT","name":"a","Name":"b"}]`), `field "name" is there twice`, 1},
		"tag twice":               {"/tags", says(`[{"id":"PROJECT","name":"a"},{"id":"PROJECT","name":"b"}]`), "PROJECT is listed twice", 1},
		"figures twice":           {"/performance", says(`{"perTagPerformance":[{"id":"PROJECT"},{"id":"PROJECT"}]}`), "PROJECT is listed twice", 1},
		"no evaluation":           {"/performance", says(`null`), "the answer is no evaluation", 1},
		"no tags":                 {"/tags", says(`null`), "the answer is not a list", 1},
		"10,000 digits, a width":  {"/images", says(image(`"width":` + strings.Repeat("9", 10_000))), "does not fit 32 bits", 3},
		"10,000 digits, a double": {"/images", says(image(`"predictions":[{"probability":` + strings.Repeat("9", 10_000) + `,` + tagID + `}]`)), "does not fit a double", 3},
		"10,000 digits, a count":  {"/count", says(strings.Repeat("9", 10_000)), "cannot unmarshal number 999", 1},
		"10,000 digits, figures":  {"/performance", says(`{"precision":` + strings.Repeat("9", 10_000) + `,"perTagPerformance":[]}`), "cannot unmarshal number 999", 1},
		"a count of 2^31":         {"/count", says("2147483648"), "cannot unmarshal number 2147483648", 1},
		"a count of 2^31-1":       {"/count", says("2147483647"), "the list ends after 5 images, the service counted 2147483647 (read 3 times", 3},
		"a negative count":        {"/count", says("-1"), "the answer is not a count", 1},
		"half a count":            {"/count", says("1.5"), "cannot unmarshal number 1.5", 1},
		"a negative size":         {"/images", says(image(`"width":-1`)), "field width: a size in pixels cannot be negative", 3},
		"a negative tag":          {"/tags", says(`[{"id":"PROJECT","imageCount":-1}]`), "has a negative number of images", 1},
		"an id of slashes":        {"/images", says(`[{"id":"../../../../../../../../../etc/passwd"}]`), "is not a uuid", 3},
		"an id with a slash":      {"/images", says(`[{"id":"26571c15-ac69-4b76-8806-de27e33eb7/6"}]`), "is not a uuid", 3},
		"an id with NUL":          {"/images", says(`[{"id":"26571c15-ac69-4b76-8806-de27e33eb7\u000096"}]`), "is not a uuid", 3},
		"an iteration's id":       {"/iterations/ITERATION", says(`{"id":"../../../../../../../../etc/passwd","status":"Completed"}`), "is not a uuid", 1},
		"a tag's id with NUL":     {"/tags", says(`[{"id":"26571c15-ac69-4b76-8806-de27e33eb7\u000096"}]`), "is not a uuid", 1},
		"another iteration":       {"/iterations/ITERATION", says(`{"id":"PROJECT","status":"Completed"}`), "the answer is about PROJECT", 1},
		"another project":         {"/projects/PROJECT", says(`{"id":"ITERATION","name":"x"}`), "the answer is about ITERATION", 1},
		"bytes that are no text":  {"/tags", says(`[{"id":"PROJECT","name":"` + "\xff" + `"}]`), "not valid utf-8", 1},
		"redirect":                {"/tags", http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP, "redirects are not followed", 1},
		"redirect of a page":      {"/images", http.RedirectHandler(elsewhere.URL, http.StatusMovedPermanently).ServeHTTP, "redirects are not followed", 1},
		"gzip bomb":               {"/images", packed(bomb), pageTooLarge, 1},
		"gzip bomb for tags":      {"/tags", packed(bomb), "larger than 16 MiB", 1},
		"gzip bomb of a failure": {"/tags", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(400)
			w.Write(bomb())
		}, "the service answered 400 Bad Request", 1},
		"no gzip":             {"/tags", packed(func() []byte { return []byte("this is not packed at all") }), "gzip", 3},
		"wait for a year":     {"/tags", failing(429, year), "the service answered 429", 1},
		"busy for a year":     {"/images", failing(503, year), "the service answered 503", 1},
		"wait for a negative": {"/tags", failing(429, -5), "the service answered 429", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, simulated.Config{Seed: 7, Images: 5})
			if _, err := b.export(t, b.request()); err != nil {
				t.Fatal(err)
			}
			before := b.snapshot(t)
			project := b.service.Projects()[0]
			ids := strings.NewReplacer("PROJECT", project.ID.String(), "ITERATION", project.Iterations[0].ID.String())
			var tries atomic.Int32
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ids.Replace(tc.to)) {
					tries.Add(1)
					tc.answer(replacing{w, ids}, r)
					return
				}
				b.service.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			b.client = hostileClient(t, front.URL, int64(maxPage)<<20)
			r := b.request()
			r.Iteration, r.Force, r.Concurrency = project.Iterations[0].ID.String(), true, 1
			_, err := b.export(t, r)
			if err == nil || !strings.Contains(err.Error(), ids.Replace(tc.want)) || !strings.Contains(err.Error(), project.ID.String()) {
				t.Errorf("error %.1500q does not say %q of the project", fmt.Sprint(err), ids.Replace(tc.want))
			} else if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes: %.1500q", len(err.Error()), err)
			}
			if got := int(tries.Load()); got != tc.tries {
				t.Errorf("%d requests, want %d", got, tc.tries)
			}
			if !maps.Equal(before, b.snapshot(t)) {
				t.Error("the warehouse is not as it was")
			}
		})
	}
}

// hostileClient has no timeout that a slow machine could reach.
func hostileClient(t *testing.T, endpoint string, maxPage int64) *extract.Client {
	t.Helper()
	client, err := extract.NewClient(extract.Options{Endpoint: endpoint, Key: "simulated", Rate: 1e6, Bounds: patience.Bounds{Retries: 2, Delay: time.Nanosecond}, MaxPage: maxPage})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// replacing puts ids in place of their names.
type replacing struct {
	http.ResponseWriter
	ids *strings.Replacer
}

func (w replacing) Write(p []byte) (int, error) {
	if len(p) < 1000 {
		if _, err := w.ids.WriteString(w.ResponseWriter, string(p)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w replacing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func packed(body func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(body())
	}
}

func failing(status, seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		w.WriteHeader(status)
	}
}

func endlessHeader(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n")
	for err == nil {
		_, err = fmt.Fprintf(conn, "X: %s\r\n", strings.Repeat("x", 10_000))
	}
}

// Numbers and texts that are odd but right are taken to the last digit.
func TestOddButRight(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 7, Images: 1, Iterations: 1})
	digits := "0." + strings.Repeat("3", 10_000)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/images") && r.URL.Query().Get("skip") == "0" {
			fmt.Fprint(w, strings.Repeat(" \n", 1000), image(`"predictions":[{"probability":`+digits+`,"tagId":"6a6d50a1-8987-4283-89f6-92d94a923822","tagName":"a\u0000/../b"}]`))
			return
		}
		b.service.ServeHTTP(w, r)
	}))
	defer front.Close()
	b.client = hostileClient(t, front.URL, 0)
	if _, err := b.export(t, b.request()); err != nil {
		t.Fatal(err)
	}
	b.verify(t)
	got := duckRows(t, "SELECT probability = 1/3, tag_name = 'a' || chr(0) || '/../b' FROM read_parquet('"+b.root+"/predictions/**/*.parquet')")
	if len(got) != 1 || got[0] != "[true true]" {
		t.Errorf("rows %v", got)
	}
}

// A server with a certificate of somebody else never sees the key, and is asked once.
func TestWrongCertificate(t *testing.T) {
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	b := newBench(t, simulated.Config{Images: 1})
	b.client = hostileClient(t, server.URL, 0)
	_, err := b.export(t, b.request())
	if err == nil || !strings.Contains(err.Error(), "certificate") || !strings.Contains(err.Error(), "SSL_CERT_FILE") || asked > 0 {
		t.Errorf("asked %d times, error %v", asked, err)
	}
	if stats := b.client.Stats(); stats.Requests != 1 {
		t.Errorf("%d requests", stats.Requests)
	}
}
