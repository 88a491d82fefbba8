//go:build !windows

package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
)

// A run whose output nobody reads still exports, and writes its report and metrics.
func TestUnread(t *testing.T) {
	service, err := simulated.New(simulated.Config{Seed: 2, Images: 300, Iterations: 2})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	project := service.Projects()[0].ID.String()
	for name, args := range map[string][]string{
		"nightly":      {"nightly"},
		"nightly json": {"nightly", "--output", "json"},
		"export":       {"export", "--project", project, "--iteration", "latest"},
	} {
		folder := t.TempDir()
		report, metrics, warehouse := filepath.Join(folder, "report.json"), filepath.Join(folder, "cvexport.prom"), filepath.Join(folder, "warehouse")
		runUnread(t, server.URL, append(args, "--warehouse", warehouse, "--report", report, "--metrics-file", metrics, "--rate", "1000")...)
		for file, want := range map[string]string{report: `"exit_code": 0`, metrics: "cvexport_"} {
			if body, err := os.ReadFile(file); err != nil || !strings.Contains(string(body), want) {
				t.Errorf("%s: %s, %v", name, body, err)
			}
		}
		runUnread(t, server.URL, "verify", "--warehouse", warehouse)
		runUnread(t, server.URL, "sql", "--dialect", "duckdb", "--warehouse", warehouse)
	}
}

// runUnread runs the command with closed pipes as its outputs.
func runUnread(t *testing.T, endpoint string, args ...string) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from.Close()
	defer to.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "VISION_TRAINING_ENDPOINT="+endpoint, "VISION_TRAINING_KEY=simulated")
	cmd.Stdout, cmd.Stderr = to, to
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %v", args, err)
	}
}
