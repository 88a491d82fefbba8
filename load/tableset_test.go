package load

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

// A table whose rows the record cannot count is refused before anything is written.
func TestPublishTableWithoutCount(t *testing.T) {
	pictures := schema.Images
	pictures.Name = "pictures"
	set := schema.TableSet{Data: append(slices.Clip(schema.Evaluation.Data), pictures), Commit: schema.Exports}
	s := storetest.NewMemory()
	prior, err := ReadPrior(t.Context(), s, set, projectA, iterationA)
	if err != nil {
		t.Fatal(err)
	}
	files := append(tables(t, exportA, 1), spooled(t, memory.DefaultAllocator, pictures, nil, 10))
	_, err = Publish(t.Context(), s, newExport(exportA, projectA, iterationA), files, prior)
	if err == nil || !strings.Contains(err.Error(), "table pictures has no count of its rows") {
		t.Errorf("error = %v", err)
	}
	if len(s.Objects) > 0 {
		t.Errorf("%d objects were written", len(s.Objects))
	}
}
