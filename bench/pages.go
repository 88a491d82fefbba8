//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

// writePages writes the pages of one detector iteration into a folder, as the service
// sends them.
func writePages(folder string, images int, config simulated.Config) error {
	config.Kind, config.Images = simulated.Detection, images
	service, err := simulated.New(config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var body []byte
	for skip := 0; skip < images; skip += extract.PageSize {
		body = service.AppendPage(body[:0], 0, 0, skip, extract.PageSize)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("page-%06d.json", skip/extract.PageSize)), body, 0o644); err != nil {
			return err
		}
	}
	return nil
}
