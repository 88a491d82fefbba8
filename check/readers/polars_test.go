package readers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/npm"
	"github.com/cvexport/cvexport/schema"
)

// testPolars lets Polars write what it has read to a file, and compares its rows and types
// with DuckDB's.
func testPolars(t *testing.T, root string) {
	if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		t.Skip("bench/polars has Polars for linux/amd64 alone")
	}
	folder, err := npm.InstallPolars()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for name, target := range map[string]string{"node_modules": filepath.Join(folder, "node_modules"), "warehouse": root} {
		if err := os.Symlink(target, filepath.Join(work, name)); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, table := range schema.Tables() {
		names = append(names, "'"+table.Name+"'")
	}
	code := snippet(t, "Polars", "js") + fmt.Sprintf(`
for (const table of [%s]) (await read(table).collect()).writeParquet(table + '.parquet');
predictions.writeParquet('first.parquet');
// What else the docs say: files that have more columns than the first are an error.
const plain = async (table, options) => (await pl.scanParquet('warehouse/' + table, options).collect()).columns;
console.log((await plain('predictions')).includes('iteration_id'));
console.log(await plain('exports', { missingColumns: 'insert' }).catch((e) => String(e)));
console.log((await plain('exports', { missingColumns: 'insert', extraColumns: 'ignore' })).includes('model_kind'));
`, strings.Join(names, ", "))
	if err := os.WriteFile(filepath.Join(work, "read.mjs"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "read.mjs")
	node.Dir = work
	said, err := node.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	lines := strings.Split(string(said), "\n")
	if len(lines) < 3 || lines[0] != "true" || !strings.Contains(lines[1], "extra_columns='ignore'") || !strings.HasSuffix(strings.TrimSpace(string(said)), "false") {
		t.Errorf("a plain scan is not as the docs say:\n%s", said)
	}

	db := openDuckDB(t)
	query := snippet(t, "DuckDB", "sql")
	for _, table := range schema.Tables() {
		want, got := inRoot(query, root, table.Name), "FROM '"+filepath.Join(work, table.Name+".parquet")+"'"
		if types, wanted := columns(t, db, got), columns(t, db, want); !slices.Equal(types, wanted) {
			t.Errorf("%s has the columns\n%s\nwant\n%s", table.Name, types, wanted)
			continue
		}
		same(t, db, table, want, got)
	}
	same(t, db, schema.Predictions, inRoot(query, root, "predictions"), "FROM '"+filepath.Join(work, "first.parquet")+"'")
}
