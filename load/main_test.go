package load

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
)

// TestMain removes what tests share.
func TestMain(m *testing.M) {
	code := tablefiletest.Run(m)
	var errs []error
	for _, files := range finishedTables {
		for _, f := range files {
			errs = append(errs, f.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
