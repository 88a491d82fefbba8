package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/report"
)

// loadReport computes a report in a database of its own, which it needs.
func loadReport(ctx context.Context, address string, options report.Options) (_ *report.Page, err error) {
	db, err := openAddress(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	page, err := report.Load(ctx, db, options)
	if errors.Is(err, report.ErrChoice) || errors.Is(err, report.ErrNotFound) {
		err = &usageError{err}
	}
	return page, err
}

// openAddress opens a warehouse by its address.
func openAddress(ctx context.Context, address string) (*sql.DB, error) {
	root, err := warehousePath(address)
	if err != nil {
		return nil, err
	}
	return openWarehouse(ctx, root)
}

// openPictures are those that --thumbnails asks for, nil for none.
func openPictures(thumbnails string) (report.Pictures, error) {
	switch thumbnails {
	case "":
		return nil, nil
	case "fetch":
		return report.Fetch(), nil
	}
	pictures, err := report.Folder(thumbnails)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--thumbnails %s: %w", thumbnails, err)}
	}
	return pictures, nil
}

func defaultWarehouse() string {
	if warehouse := os.Getenv("CVEXPORT_WAREHOUSE"); warehouse != "" {
		return warehouse
	}
	return "./warehouse"
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unexpected argument %q; see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}
