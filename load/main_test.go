package load

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// TestMain removes what tests share.
func TestMain(m *testing.M) {
	code := m.Run()
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
