package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/report"
)

// reportCommand is what the commands share that make reports.
type reportCommand struct {
	source
	thumbnails string
}

func (c *reportCommand) addFlags(cmd *cobra.Command) {
	c.source.addFlags(cmd)
	cmd.Flags().StringVar(&c.thumbnails, "thumbnails", "", "pictures of the images: a folder with files named by image id, or fetch, from where the service keeps them")
}

// pictures are those that --thumbnails asks for, nil for none.
func (c *reportCommand) pictures() (report.Pictures, error) {
	switch c.thumbnails {
	case "":
		return nil, nil
	case "fetch":
		return report.Fetch(), nil
	}
	pictures, err := report.Folder(c.thumbnails)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--thumbnails: %w", err)}
	}
	return pictures, nil
}

// load computes a report in a database of its own, which it needs.
func (c *reportCommand) load(ctx context.Context, stderr io.Writer, options report.Options) (_ *report.Page, err error) {
	root, err := c.localFolder(ctx, stderr, anyName)
	if err != nil {
		return nil, err
	}
	db, err := openViews(ctx, root)
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

// remoteAge is how old a served copy of a remote warehouse becomes.
const remoteAge = time.Minute

// opener opens the warehouse for each page that is served, as it is by then.
type opener struct {
	source *source
	stderr io.Writer

	mu   sync.Mutex
	root string
	at   time.Time
}

func (o *opener) open(ctx context.Context) (*sql.DB, error) {
	root, err := o.folder(ctx)
	if err != nil {
		return nil, err
	}
	return openViews(ctx, root)
}

func (o *opener) folder(ctx context.Context) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.root != "" && (!o.source.isRemote() || time.Since(o.at) < remoteAge) {
		return o.root, nil
	}
	root, err := o.source.localFolder(ctx, o.stderr, anyName)
	if err != nil {
		return "", err
	}
	o.root, o.at = root, time.Now()
	return root, nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unexpected argument %q; see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}
