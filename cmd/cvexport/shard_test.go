//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// Several processes that share the work make the same warehouse as one process, and
// export nothing twice, in each way to set their shards.
func TestShardsOfProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs many processes")
	}
	const projects, iterations, processes = 2, 6, 3
	service, err := simulated.New(simulated.Config{Seed: 5, Kind: simulated.Detection, Projects: projects, Iterations: iterations, Images: 60, Failed: 1, Training: 1})
	if err != nil {
		t.Fatal(err)
	}
	nightly := func(b *harness, more ...string) *exec.Cmd {
		b.args = append([]string{"nightly", "--warehouse", b.root, "--rate", "100000"}, more...)
		return b.command()
	}
	alone := newHarness(t, service)
	if out, err := nightly(alone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows, records := alone.rows(t), alone.exports(t)
	if len(rows) != 5*projects*iterations || len(records) != projects*iterations {
		t.Fatalf("one process made %d objects of data and %d records", len(rows), len(records))
	}
	for name, part := range map[string]func(i int) (args, env []string){
		"flag": func(i int) (args, env []string) {
			return []string{"--shard", fmt.Sprintf("%d/%d", i, processes)}, nil
		},
		"cloud run": func(i int) (args, env []string) {
			return nil, []string{fmt.Sprintf("CLOUD_RUN_TASK_INDEX=%d", i), fmt.Sprintf("CLOUD_RUN_TASK_COUNT=%d", processes)}
		},
		"kubernetes": func(i int) (args, env []string) {
			return nil, []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", i), fmt.Sprintf("CVEXPORT_SHARD_COUNT=%d", processes)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHarness(t, service)
			b.env = alone.env // the same endpoint, for the records
			reports := t.TempDir()
			var running []*exec.Cmd
			output := make([]bytes.Buffer, processes)
			for i := range processes {
				args, env := part(i)
				cmd := nightly(b, append(args, "--report", filepath.Join(reports, fmt.Sprint(i)))...)
				cmd.Env = slices.Concat(b.env, env)
				cmd.Stdout, cmd.Stderr = &output[i], &output[i]
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				running = append(running, cmd)
			}
			exported := map[schema.ID]int{}
			for i, cmd := range running {
				if err := cmd.Wait(); err != nil {
					t.Errorf("process %d: %v: %s", i, err, &output[i])
					continue
				}
				done := exportedBy(t, filepath.Join(reports, fmt.Sprint(i)))
				if len(done) == 0 {
					t.Errorf("process %d had nothing to do: %s", i, &output[i])
				}
				for _, id := range done {
					exported[id]++
				}
			}
			for key := range records {
				if n := exported[key.iteration]; n != 1 {
					t.Errorf("iteration %s was exported %d times", key.iteration, n)
				}
			}
			if diff := cmp.Diff(rows, b.rows(t)); diff != "" {
				t.Errorf("rows differ from those of one process (-one +several):\n%s", diff)
			}
			ofTheRun := []cmp.Option{
				cmpopts.IgnoreFields(load.Export{}, "ExportID", "StartedAt", "FinishedAt"),
				cmpopts.IgnoreFields(load.ObjectRecord{}, "Bytes", "CRC32C"), // of objects with the export's id in them
			}
			if diff := cmp.Diff(records, b.exports(t), ofTheRun...); diff != "" {
				t.Errorf("records differ from those of one process (-one +several):\n%s", diff)
			}
			if report := b.verify(t); len(report.Findings)+len(report.Uncommitted) > 0 || report.Iterations != projects*iterations {
				t.Errorf("verify: %+v", report)
			}
		})
	}
}

// Nightly runs and single exports of the same iterations can run as processes at the
// same time: none fails, and the rows are those of one run.
func TestProcessesAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs many processes")
	}
	service, err := simulated.New(simulated.Config{Seed: 5, Kind: simulated.Detection, Projects: 2, Iterations: 3, Images: 60})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	project := service.Projects()[0]
	common := []string{"--warehouse", b.root, "--rate", "100000"}
	night := slices.Concat([]string{"nightly"}, common)
	single := slices.Concat([]string{"export", "--project", project.ID.String(), "--iteration", project.Iterations[0].ID.String()}, common)
	all := [][]string{night, single, night, single, night}
	var running []*exec.Cmd
	output := make([]bytes.Buffer, len(all))
	for i, args := range all {
		b.args = args
		cmd := b.command()
		cmd.Stdout, cmd.Stderr = &output[i], &output[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for i, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", all[i][0], err, &output[i])
		}
	}
	if report := b.verify(t); len(report.Findings)+len(report.Uncommitted) > 0 || report.Iterations != 6 {
		t.Errorf("verify: %+v", report)
	}
	rows := b.rows(t)
	alone := newHarness(t, service)
	alone.args = []string{"nightly", "--warehouse", alone.root, "--rate", "100000"}
	if out, err := alone.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(alone.rows(t), rows); diff != "" {
		t.Errorf("rows differ from those of one process (-one +several):\n%s", diff)
	}
}

// exportedBy returns the iterations that a report says were exported.
func exportedBy(t *testing.T, file string) (ids []schema.ID) {
	t.Helper()
	body, err := os.ReadFile(file)
	var r struct {
		Resources []struct {
			Projects []struct {
				Iterations []struct {
					ID      schema.ID    `json:"iteration_id"`
					Outcome jobs.Outcome `json:"outcome"`
				} `json:"iterations"`
			} `json:"projects"`
		} `json:"resources"`
	}
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range r.Resources {
		for _, p := range resource.Projects {
			for _, it := range p.Iterations {
				if it.Outcome == jobs.Exported {
					ids = append(ids, it.ID)
				}
			}
		}
	}
	return ids
}

type exportKey struct{ project, iteration schema.ID }

// exports returns the committed records of the warehouse.
func (h *harness) exports(t *testing.T) map[exportKey]load.Export {
	t.Helper()
	store, err := open.Open(t.Context(), h.root)
	if err != nil {
		t.Fatal(err)
	}
	records := map[exportKey]load.Export{}
	if _, err := load.Verify(t.Context(), store, schema.Evaluation, t.TempDir(), func(e load.Export, _ []load.Finding) {
		records[exportKey{e.Project, e.Iteration}] = e
	}); err != nil {
		t.Fatal(err)
	}
	return records
}
