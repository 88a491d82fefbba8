package transform

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// plainly has every page read by the plain decoder: it alone leaves images out.
func plainly(body []byte, repeated int) (*Records, error) {
	d := NewDecoder(Options{ExportID: exportID})
	return d.Decode(body, repeated, func(schema.ID) bool { return false })
}

// The service's pages are read quickly.
func TestQuickTakesPages(t *testing.T) {
	for _, kind := range []simulated.Kind{simulated.Multiclass, simulated.Multilabel, simulated.Detection} {
		service, err := simulated.New(simulated.Config{Kind: kind, Images: 50})
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecoder(Options{ExportID: exportID})
		d.body = service.AppendPage(nil, 0, 0, 0, 50)
		if !d.quick.page() || len(d.ids) != 50 {
			t.Errorf("%s: it gave up after %d images, at byte %d of %d", kind, len(d.ids), d.quick.i, len(d.body))
		}
	}
}

// FuzzQuick: what the quick decoder takes, the plain one takes as well, and
// every row is the same; a page that it leaves in the middle has no row twice.
func FuzzQuick(f *testing.F) {
	for _, kind := range []simulated.Kind{simulated.Multilabel, simulated.Detection} {
		service, err := simulated.New(simulated.Config{Kind: kind, Images: 1, Tags: 2, Predictions: 2})
		if err != nil {
			f.Fatal(err)
		}
		body := service.AppendPage(nil, 0, 0, 0, 1)
		f.Add(body, uint8(0))
		f.Add(body, uint8(1))
		f.Add(body[:len(body)-1], uint8(0))
	}
	id := `[{"id":"` + idA + `",`
	for _, body := range []string{
		"[]", "null", " [ ] ", "[{}]", id[:len(id)-1] + "}]", id + `"id":"` + idA + `"}]`, id + `"width":01}]`, id + `"width":1e3}]`, id + `"width":null,"new":1}]`,
		id + `"imageUri":"a\"?b","thumbnailUri":null,"tags":[{"tagId":"` + idA + `","tagName":"\u00fc\\","created":"2020-02-11T16:43:08.98791"}]}]`,
		id + `"predictions":[{"tagId":"` + idA + `","probability":8.79471951E-13,"boundingBox":null},{"probability":-0.0,"tagId":"` + idA + `","boundingBox":{"left":1e22,"top":1e-400,"width":0.1234567890123456789,"height":123456789012345}}]}]`,
		id + `"regions":[{"regionId":"` + idA + `","tagId":"` + idA + `","left":0,"top":1,"width":.5,"height":1.}]}, 1]`, id + `"tags":[null,{}]}]x`,
	} {
		f.Add([]byte(body), uint8(0))
	}
	f.Fuzz(func(t *testing.T, body []byte, repeats uint8) {
		repeated := int(repeats % 3)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		d := NewDecoder(Options{ExportID: exportID, Memory: mem})
		d.body, d.repeats = body, repeated
		took := utf8.Valid(body) && d.quick.page() // as Decode does
		d.discard()
		got, err := d.Decode(body, repeated, nil)
		want, wantErr := plainly(body, repeated)
		if took && wantErr != nil {
			t.Fatalf("the quick decoder took what the plain one refuses: %v", wantErr)
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if err != nil {
			return
		}
		defer got.Release()
		defer want.Release()
		if diff := cmp.Diff(decodedRows(want), decodedRows(got)); diff != "" || !cmp.Equal(want.IDs, got.IDs) || want.Repeated != got.Repeated || !cmp.Equal(want.Unknown, got.Unknown) {
			t.Errorf("rows (-plain +quick):\n%s", diff)
		}
	})
}

// FuzzFloat: a number is what strconv makes of it, to the last bit, or is left to
// it; what is read is what JSON calls a number.
func FuzzFloat(f *testing.F) {
	for _, s := range []string{"0", "-0.0", "1.0", "0.108991474", "8.79471951E-13", "1e22", "1e23", "123456789012345e-22", "1234567890123456", "01", "1.", ".5", "-", "1e", "1e+", "1e400", "5e-324", "0e9999", "0.000000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		scan := scanner{b: []byte(s)}
		got, ok := scan.float()
		if !ok || !scan.ended() {
			return
		}
		want, err := strconv.ParseFloat(strings.Trim(s, " \t\r\n"), 64)
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%q is %v, want %v, %v", s, got, want, err)
		}
	})
}
