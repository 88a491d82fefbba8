package transform

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/simulated"
)

// FuzzDecode: whatever the bytes are, the decoder does not panic or leak, an
// error says where, and what it takes is valid JSON. Of what encoding/json
// reads as a page, written again by it, every row is the same.
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
		f.Add(body)
	}
	for _, kind := range []simulated.Kind{simulated.Multilabel, simulated.Detection} {
		service, err := simulated.New(simulated.Config{Kind: kind, Images: 1, Tags: 2, Predictions: 2})
		if err != nil {
			f.Fatal(err)
		}
		body := service.AppendPage(nil, 0, 0, 0, 1)
		f.Add(body)
		f.Add(body[:len(body)/2])
	}
	for _, body := range []string{"", "[]", "[{}]", "<html>", "\ufeff[]", `[{"id":"` + idA + `","width":1e3}]`, `[{"id":null,"predictions":[{}]}] x`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		d := NewDecoder(Options{ExportID: exportID, Memory: mem})
		records, err := d.Decode(body, 0, nil)
		if err != nil {
			var located *Error
			if !errors.As(err, &located) || located.Offset < 0 || located.Offset > len(body) || located.Error() == "" {
				t.Fatalf("%T: %v", err, err)
			}
		} else {
			records.Release()
			if !json.Valid(body) {
				t.Fatal("it took what is not json")
			}
		}
		var page oraclePage
		if json.Unmarshal(body, &page) != nil {
			return
		}
		canonical, err := json.Marshal(page)
		if err != nil {
			t.Fatal(err)
		}
		page = nil // a number that was not there is written as 0
		if err := json.Unmarshal(canonical, &page); err != nil {
			t.Fatal(err)
		}
		records, err = d.Decode(canonical, 0, nil)
		if err != nil {
			return // the oracle knows no ids, times or required fields
		}
		defer records.Release()
		if diff := cmp.Diff(page.rows(t), decodedRows(records)); diff != "" {
			t.Errorf("rows of %s (-want +got):\n%s", canonical, diff)
		}
	})
}
