package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/jobs"
)

// Of jobs that write one file at once, none loses what another wrote; nor does
// one whose run was interrupted.
func TestMetricsOfSeveralJobs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cvexport.prom")
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	const jobsAtOnce, runs = 8, 5
	var wait sync.WaitGroup
	for job := range jobsAtOnce {
		wait.Go(func() {
			for run := range runs {
				night := jobs.ResourceNight{Name: fmt.Sprintf("job%d-%d", job, run)}
				if err := writeMetrics(interrupted, file, []jobs.ResourceNight{night}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for job := range jobsAtOnce {
		for run := range runs {
			if want := fmt.Sprintf(`cvexport_failures{project="",resource="job%d-%d"} 0`, job, run); !strings.Contains(string(body), want) {
				t.Errorf("it lost %s", want)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if prom := filepath.Ext(entry.Name()) == ".prom"; prom != (entry.Name() == "cvexport.prom") {
			t.Errorf("node_exporter would read %s", entry.Name())
		}
	}
}
