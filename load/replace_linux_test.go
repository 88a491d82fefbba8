package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An object is replaced when nobody has a file of its table open, and only then.
func TestReplacementWaitsForReaders(t *testing.T) {
	for name, tt := range map[string]struct {
		read string // the object that is open
		wait bool
	}{
		"the object":                     {localKey, true},
		"another of its table":           {"tags/b/data.parquet", true},
		"one of another table":           {"regions/a/data.parquet", false},
		"what is no object of the table": {"tags/README", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, obj, path := newLocalWithObject(t)
			read := filepath.Join(s.root, filepath.FromSlash(tt.read))
			if read != path {
				if err := os.MkdirAll(filepath.Dir(read), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(read, []byte("PAR1"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			reader, err := os.Open(read)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()

			ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer stop()
			put, err := s.Put(ctx, localKey, randomSource(100, 2), obj.Version)
			if !tt.wait {
				if err != nil || put.Version == obj.Version {
					t.Errorf("it is %+v, %v", put, err)
				}
				return
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("it is %+v, %v; somebody reads it", put, err)
			}
			if now, err := s.Stat(t.Context(), localKey); err != nil || now.Version != obj.Version {
				t.Errorf("it is %+v, %v; was %+v", now, err, obj)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), tempStart+"*")); left != nil {
				t.Errorf("left %s", left)
			}

			time.AfterFunc(20*time.Millisecond, func() { reader.Close() })
			if put, err := s.Put(t.Context(), localKey, randomSource(100, 2), obj.Version); err != nil || put.Version == obj.Version {
				t.Errorf("after the reader, it is %+v, %v", put, err)
			}
		})
	}
}

// Somebody who never closes a file does not stop exports.
func TestReplacementUnderAReader(t *testing.T) {
	_, _, path := newLocalWithObject(t)
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	temp := filepath.Join(filepath.Dir(path), tempStart+"new")
	if err := os.WriteFile(temp, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := replaceUnread(t.Context(), temp, path, filepath.Dir(path), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); string(now) != "new" || err != nil {
		t.Errorf("the object is %q, %v", now, err)
	}
}

// A reader opens the objects of a table as DuckDB does, all the time: what it opens
// twice in one query is one file. Without the wait it is not.
func TestReadersFindWhatTheyBeganToRead(t *testing.T) {
	s, obj, path := newLocalWithObject(t)
	first := filepath.Join(s.root, "tags", "0.parquet")
	if err := os.WriteFile(first, []byte("PAR1"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	queries := make(chan [2]int) // how many there were, and how many were wrong
	go func() {
		var n [2]int
		for ; ctx.Err() == nil; n[0]++ {
			if wrong, err := queryTwice(first, path); wrong || err != nil {
				n[1]++
				t.Errorf("%v", err)
			}
		}
		queries <- n
	}()
	const replacements = 300
	for i := range replacements {
		var err error
		if obj, err = s.Put(t.Context(), localKey, randomSource(100+i%2, uint64(i)), obj.Version); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	n := <-queries
	t.Logf("%d replacements, %d queries, %d of them wrong", replacements, n[0], n[1])
	if n[1] > 0 || n[0] < replacements/10 {
		t.Errorf("of %d queries %d were wrong", n[0], n[1])
	}
}

// queryTwice is how DuckDB 1.5 reads a glob with union_by_name: it lists the folders,
// opens every file for its footer, closes all but the first, and opens each again. It
// tells whether the second was another file then.
func queryTwice(first, second string) (wrong bool, err error) {
	for range 20 {
		if _, err := os.ReadDir(filepath.Dir(second)); err != nil {
			return false, err
		}
	}
	held, err := os.Open(first)
	if err != nil {
		return false, err
	}
	defer held.Close()
	var opened []os.FileInfo
	for range 2 {
		f, err := os.Open(second)
		if err != nil {
			return false, err
		}
		info, err := f.Stat()
		if err := errors.Join(err, f.Close()); err != nil {
			return false, err
		}
		opened = append(opened, info)
	}
	return !os.SameFile(opened[0], opened[1]), nil
}
