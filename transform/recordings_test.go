package transform

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No body of the page itself is public. Its images have the shape of
// GetTaggedImages', which go through as they were recorded; its predictions are
// QuickTest's, which are put into an image made for them.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/recordings/*.json")
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(file, "QuickTest") {
				var quick struct {
					Predictions json.RawMessage `json:"predictions"`
				}
				if err := json.Unmarshal(body, &quick); err != nil {
					t.Fatal(err)
				}
				body = []byte(`[{"id":"` + idA + `","predictions":` + string(quick.Predictions) + `}]`)
			}
			want := oracle{unknown: map[string]int{}}
			if err := want.read(body); err != nil {
				t.Fatal(err)
			}
			records, err := decode(t, Options{}, string(body), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.rows, decodedRows(records)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if strings.Contains(file, "Images") && (records.Unknown["originalImageUri"] != len(want.ids) || records.Images.NumRows() == 0) {
				t.Errorf("%d images, unknown fields %v", records.Images.NumRows(), records.Unknown)
			}
		})
	}
}
