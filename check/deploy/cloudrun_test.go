package deploy

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	run "google.golang.org/api/run/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"mvdan.cc/sh/v3/syntax"
	"sigs.k8s.io/yaml"
)

const (
	cloudRunJob    = folder + "/cloudrun/job.yaml"
	cloudRunScript = folder + "/cloudrun/deploy.sh"
)

func readCloudRun(t *testing.T) *run.Job {
	t.Helper()
	body, err := yaml.YAMLToJSONStrict([]byte(read(t, cloudRunJob)))
	if err != nil {
		t.Fatal(err)
	}
	var job run.Job
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&job); err != nil {
		t.Fatalf("%s: %v", cloudRunJob, err)
	}
	if len(job.Spec.Template.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%s: want one container", cloudRunJob)
	}
	return &job
}

func cloudRunCommand(t *testing.T) command {
	c := readCloudRun(t).Spec.Template.Spec.Template.Spec.Containers[0]
	if len(c.Command) > 0 {
		t.Errorf("%s: command replaces the image's ENTRYPOINT", cloudRunJob)
	}
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if from := e.ValueFrom; from != nil && from.SecretKeyRef != nil && e.Value == "" {
			env[e.Name] = secret
		}
	}
	return command{file: cloudRunJob, args: c.Args, env: env}
}

func TestCloudRunJob(t *testing.T) {
	job, cmd := readCloudRun(t), cloudRunCommand(t)
	if job.ApiVersion != "run.googleapis.com/v1" || job.Kind != "Job" {
		t.Errorf("the kind is %s %s, want run.googleapis.com/v1 Job", job.ApiVersion, job.Kind)
	}
	execution := job.Spec.Template.Spec
	task := execution.Template.Spec
	c := task.Containers[0]
	if execution.TaskCount < 2 || execution.Parallelism != execution.TaskCount {
		t.Errorf("%d tasks, %d at once: want several, at once", execution.TaskCount, execution.Parallelism)
	}
	cmd.checkRate(t, int(execution.TaskCount))
	if task.ServiceAccountName == "" || task.TimeoutSeconds == 0 || !pinned(c.Image) {
		t.Error("want a service account, a timeout and an image with a version")
	}
	if !strings.HasPrefix(cmd.env["CVEXPORT_WAREHOUSE"], "gs://") {
		t.Errorf("the warehouse is %q, want gs://", cmd.env["CVEXPORT_WAREHOUSE"])
	}

	spool, _ := cmd.flag("spool")
	if len(task.Volumes) != 1 || len(c.VolumeMounts) != 1 || c.VolumeMounts[0].MountPath != spool || c.VolumeMounts[0].Name != task.Volumes[0].Name {
		t.Fatalf("--spool=%s is not the one volume", spool)
	}
	size, err := resource.ParseQuantity(task.Volumes[0].EmptyDir.SizeLimit)
	if err != nil {
		t.Fatalf("the spool's size: %v", err)
	}
	limit, err := resource.ParseQuantity(c.Resources.Limits["memory"])
	if err != nil {
		t.Fatalf("the memory limit: %v", err)
	}
	checkMemory(t, cmd, &limit, &size)

	// The script uses the same names as the job.
	script := read(t, cloudRunScript)
	for _, e := range c.Env {
		if e.ValueFrom != nil && !strings.Contains(script, "gcloud secrets create "+e.ValueFrom.SecretKeyRef.Name+" ") {
			t.Errorf("deploy.sh does not say how to make the secret %s", e.ValueFrom.SecretKeyRef.Name)
		}
	}
	if !strings.Contains(script, "/jobs/"+job.Metadata.Name+":run") {
		t.Errorf("deploy.sh does not run the job %s", job.Metadata.Name)
	}
}

func TestShell(t *testing.T) {
	for _, file := range files(t) {
		if !strings.HasSuffix(file, ".sh") {
			continue
		}
		body := read(t, file)
		if !strings.HasPrefix(body, "#!/usr/bin/env bash\n") || !strings.Contains(body, "\nset -euo pipefail\n") {
			t.Errorf("%s: want bash, and set -euo pipefail", file)
		}
		if _, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(body), file); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("bash", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("bash -n: %v: %s", err, out)
		}
	}
}

// TestCloudRunSchedule parses the schedule in the script.
func TestCloudRunSchedule(t *testing.T) {
	_, after, _ := strings.Cut(read(t, cloudRunScript), `--schedule="`)
	schedule, _, _ := strings.Cut(after, `"`)
	parseSchedule(t, schedule)
}
