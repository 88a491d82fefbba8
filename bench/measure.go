//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// usage is what a process used.
type usage struct {
	cpu    float64 // seconds, user and system
	memory float64 // peak, MiB
	wall   float64 // seconds
	stdout []byte
}

// run runs a program and measures its process.
func run(ctx context.Context, env []string, program string, args ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return usage{}, fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, stderr.String())
	}
	wall := time.Since(began).Seconds()
	state := cmd.ProcessState
	peak := float64(state.SysUsage().(*syscall.Rusage).Maxrss) / 1024 // Linux counts in KiB
	return usage{cpu: (state.UserTime() + state.SystemTime()).Seconds(), memory: peak, wall: wall, stdout: stdout.Bytes()}, nil
}

// series has the values of several runs.
type series []float64

func (s series) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// String returns the median, and half the range in percent of it.
func (s series) String() string {
	spread := 0.0
	if m := s.median(); m > 0 {
		spread = 50 * (slices.Max(s) - slices.Min(s)) / m
	}
	return fmt.Sprintf("%.3g ±%.0f %%", s.median(), spread)
}

// parquetBytes returns the size of the Parquet files of tables below a folder.
func parquetBytes(folder string, tables []string) (float64, error) {
	total := int64(0)
	for _, table := range tables {
		err := filepath.WalkDir(filepath.Join(folder, table), func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			total += info.Size()
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(total) / 1e6, nil
}

var modelName = regexp.MustCompile(`model name\s*: (.*)`)

// machine returns the processor's name according to Linux.
func machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if match := modelName.FindSubmatch(text); err == nil && match != nil {
		return string(match[1])
	}
	return "an unknown processor"
}
