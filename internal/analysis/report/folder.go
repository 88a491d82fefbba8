package report

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// folder has pictures in files that are named by image id.
type folder struct{ files map[string]string }

// Folder are the pictures in a folder: ID.jpg, .jpeg, .png, .gif or .bmp.
func Folder(path string) (Pictures, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of pictures: %w", err)
	}
	f := folder{map[string]string{}}
	for _, e := range entries {
		ending := filepath.Ext(e.Name())
		switch strings.ToLower(ending) {
		case ".jpg", ".jpeg", ".png", ".gif", ".bmp":
			f.files[strings.ToLower(strings.TrimSuffix(e.Name(), ending))] = filepath.Join(path, e.Name())
		}
	}
	return f, nil
}

func (f folder) Picture(_ context.Context, id, _, _ string) ([]byte, error) {
	path, ok := f.files[strings.ToLower(id)]
	if !ok {
		return nil, ErrNoPicture
	}
	return os.ReadFile(path)
}
