//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

// served is the simulated service in its own process, so that the export's can be
// measured.
type served struct {
	cmd     *exec.Cmd
	url     string
	project simulated.Project
	env     []string
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

func (b *benchmark) serve(ctx context.Context, c simulated.Config, latency time.Duration, rate int) (*served, error) {
	world, err := simulated.New(c)
	if err != nil {
		return nil, err
	}
	args := []string{"simulate", "--listen", "127.0.0.1:0", "--kind", string(c.Kind), "--seed", fmt.Sprint(c.Seed), "--iterations", "1",
		"--images", fmt.Sprint(c.Images), "--tags", fmt.Sprint(c.Tags), "--predictions", fmt.Sprint(c.Predictions), "--regions", fmt.Sprint(c.Regions),
		"--latency", latency.String()}
	if rate > 0 {
		args = append(args, "--rate", fmt.Sprint(rate))
	}
	s := &served{cmd: exec.CommandContext(ctx, b.path("cvexport"), args...), project: world.Projects()[0]}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if s.url = listening.FindString(lines.Text()); s.url != "" {
			go io.Copy(io.Discard, stdout)
			s.env = []string{"VISION_TRAINING_ENDPOINT=" + s.url, "VISION_TRAINING_KEY=simulated"}
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("the simulated service does not say where it listens")
}

func (s *served) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended already
	_ = s.cmd.Wait()
}

func (s *served) export(ctx context.Context, b *benchmark, rate string) (usage, error) {
	return run(ctx, s.env, b.path("cvexport"), "export", "--quiet", "--rate", rate, "--warehouse", b.path("export.out"),
		"--project", s.project.ID.String(), "--iteration", s.project.Iterations[0].ID.String())
}

// performance returns the address of the iteration's figures; its images are below.
func (s *served) performance() string {
	return fmt.Sprintf("%s/customvision/v3.2/training/projects/%s/iterations/%s/performance", s.url, s.project.ID, s.project.Iterations[0].ID)
}

// warm requests what the service computes once.
func (s *served) warm(ctx context.Context) error {
	_, err := get(ctx, s.performance()+"?threshold=0.5&overlapThreshold=0.3", "simulated")
	return err
}

// fetch saves every page to a folder, four at once, until one is empty.
func fetch(ctx context.Context, address, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	const workers = 4
	const empty = "[]"
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			for page := w; ; page += workers {
				body, err := get(ctx, fmt.Sprintf("%s?orderBy=Oldest&take=%d&skip=%d", address, extract.PageSize, page*extract.PageSize),
					os.Getenv("VISION_TRAINING_KEY"))
				if err != nil || string(body) == empty {
					return err
				}
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("page-%06d.json", page)), body, 0o644); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

func get(ctx context.Context, address, key string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Training-key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, response.Status)
	}
	return io.ReadAll(response.Body)
}
