package transform

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// FuzzDecode: whatever the bytes are, the decoder takes what the oracle takes and
// makes the same rows of it; an error says where. The page is read twice, because a
// decoder remembers how the last one was written.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/recordings/*Untagged*.json") // the others are large, which makes fuzzing slow
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, uint8(0), false)
	}
	for _, kind := range []simulated.Kind{simulated.Multilabel, simulated.Detection} {
		service, err := simulated.New(simulated.Config{Kind: kind, Images: 2, Tags: 2, Predictions: 2})
		if err != nil {
			f.Fatal(err)
		}
		body := service.AppendPage(nil, 0, 0, 0, 2)
		f.Add(body, uint8(0), false)
		f.Add(body, uint8(1), false)
		f.Add(body, uint8(1), true)
		f.Add(body[:len(body)/2], uint8(0), false)
	}
	id := `[{"id":"` + idA + `",`
	for _, body := range []string{
		"", "[]", "null", " [ ] ", "[{}]", "[1]", "<html>", "\ufeff[]", id[:len(id)-1] + "}]", id + `"id":"` + idA + `"}]`, id + `"width":01}]`, id + `"width":1e3}]`,
		id + `"width":-0,"height":2147483648,"new":1}]`, id + `"\u0077idth":3,"ID":[{"a":[true,false,null,"\n",-1.5E+7]}],"new":{}}]`, `[{"id":null,"predictions":[{}]}] x`,
		id + `"imageUri":"a\"?b","thumbnailUri":null,"tags":[{"tagId":"` + idA + `","tagName":"\u00fc\\","created":"2020-02-11T16:43:08.98791"}]}]`,
		id + `"imageUri":"\ud83d\ude00\ud800\ud83d\ude00\udc00\ud800\u0041\ud800","tags":[{"tagId":"` + strings.ToUpper(tag) + `","tagName":"ü"},{"tagName":"ü","tagId":"` + tag + `"},{"tagId":"` + tag + `","tagName":"\u00fc"}]}]`,
		id + `"predictions":[{"tagId":"` + idA + `","probability":8.79471951E-13,"boundingBox":null},{"probability":-0.0,"tagId":"` + idA + `","boundingBox":{"left":1e2,"top":1e-400,"width":0.1234567890123456789,"height":999.999999999999}}]}]`,
		id + `"regions":[{"regionId":"` + idA + `","tagId":"` + idA + `","left":0,"top":1,"width":.5,"height":1.}]}, 1]`, id + `"tags":[null,{}]}]x`,
		id + `"created":"yesterday","tags":[{"tagId":"` + idA + `","created":5},{"tagId":"` + idA + `","created":"2018-10-18T17:05:35.8458152"}],"regions":[{"created":[{}]}]}]`,
		id + `"created":{"a":[1,"x"]}},{"id":"` + idB + `","created":"0001-01-01T00:00:00"}]`, id + `"created":[}]`,
		id + `"predictions":[{"tagId":"` + idA + `","probability":1.5}]}]`, id + `"predictions":[{"tagId":"` + idA + `","probability":1e0},{"tagId":"` + idA + `","probability":-0.0}]}]`,
		`[{"a":[{"id":1}],"id":"` + idB + `","id":1},{"width":"","id":"` + idA + `"}]`,
	} {
		f.Add([]byte(body), uint8(0), false)
		f.Add([]byte(body), uint8(2), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, repeated uint8, someKnown bool) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		want := oracle{repeated: int(repeated % 3), unknown: map[string]int{}, unread: map[string]bool{}}
		if someKnown {
			want.known = func(id schema.ID) bool { return id[15]%2 == 0 }
		}
		wantErr := want.read(body)
		d := NewDecoder(Options{ExportID: exportID, Memory: mem})
		for range 2 {
			got, err := d.Decode(body, want.repeated, want.known)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("error %v, the oracle's %v", err, wantErr)
			}
			if err != nil {
				var located *Error
				if !errors.As(err, &located) || located.Offset < 0 || located.Offset > len(body) || located.Image < -1 || located.Err == nil {
					t.Fatalf("%#v", err)
				}
				continue
			}
			if diff := cmp.Diff(want.rows, decodedRows(got)); diff != "" {
				t.Errorf("rows (-oracle +decoder):\n%s", diff)
			}
			if !cmp.Equal(want.ids, got.IDs) && len(want.ids)+len(got.IDs) > 0 || !cmp.Equal(want.unknown, got.Unknown) || got.Repeated != min(want.repeated, len(want.ids)) {
				t.Errorf("ids %v, unknown %v, repeated %d; want %+v", got.IDs, got.Unknown, got.Repeated, want)
			}
			unread := map[string]bool{}
			for path := range got.Unread {
				unread[path] = true
			}
			if !cmp.Equal(want.unread, unread) {
				t.Errorf("unread times %v, want %v", got.Unread, want.unread)
			}
			got.Release()
		}
	})
}

// FuzzDouble: a number is what strconv makes of it, to the last bit, and only what
// JSON calls a number is one.
func FuzzDouble(f *testing.F) {
	for _, s := range []string{"0", "-0.0", "1.0", "0.108991474", "8.79471951E-13", "1e22", "1e23", "123456789012345e-22", "1234567890123456", "01", "1.", ".5", "-", "1e", "1e+", "1e400", "5e-324", "0e9999", "0.000000000000000000001", "0.123456789012345", "0.1234567890123456", "0.12345678e2", "9.99999999999999", "9.999999999999999", "9.12345678e-14", "9.12345678e-15", "0.5e-1", "0.5e-100"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const padding = "                        " // without it, the number is too near to the end to be read quickly
		for _, body := range []string{s, s + padding} {
			scan := scanner{body: []byte(body)}
			got := scan.double()
			took := scan.peek() == 0 && scan.pos == len(body) && scan.err == nil
			number := strings.Trim(s, " \t\r\n")
			want, wantErr := strconv.ParseFloat(number, 64)
			isNumber := json.Valid([]byte(number)) && wantErr == nil && number != "null"
			if took != isNumber {
				t.Fatalf("%q: error %v, want %v", body, scan.err, wantErr)
			}
			if took && math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%q is %v, want %v", body, got, want)
			}
		}
	})
}
