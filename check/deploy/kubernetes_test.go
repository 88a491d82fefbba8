package deploy

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// decode reads one document and refuses fields that the type does not have.
func decode(t *testing.T, name string, into any) {
	t.Helper()
	body, err := yaml.YAMLToJSONStrict([]byte(read(t, name)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	strict, err := kjson.UnmarshalStrict(body, into)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, err := range strict {
		t.Errorf("%s: %v", name, err)
	}
}

const (
	accountFile = folder + "/kubernetes/account.yaml"
	cronFile    = folder + "/kubernetes/cronjob.yaml"
	indexedFile = folder + "/kubernetes/indexed-job.yaml"
	listenFile  = folder + "/kubernetes/listen.yaml"
)

func wantKind(t *testing.T, file string, got metav1.TypeMeta, version, kind string) {
	t.Helper()
	if got.APIVersion != version || got.Kind != kind {
		t.Errorf("%s is %s %s, want %s %s", file, got.APIVersion, got.Kind, version, kind)
	}
}

func cronJob(t *testing.T) batchv1.CronJob {
	var c batchv1.CronJob
	decode(t, cronFile, &c)
	wantKind(t, cronFile, c.TypeMeta, "batch/v1", "CronJob")
	return c
}

func indexedJob(t *testing.T) batchv1.Job {
	var j batchv1.Job
	decode(t, indexedFile, &j)
	wantKind(t, indexedFile, j.TypeMeta, "batch/v1", "Job")
	return j
}

func listener(t *testing.T) appsv1.Deployment {
	var d appsv1.Deployment
	decode(t, listenFile, &d)
	wantKind(t, listenFile, d.TypeMeta, "apps/v1", "Deployment")
	return d
}

func pods(t *testing.T) map[string]corev1.PodSpec {
	known := map[string]corev1.PodSpec{
		cronFile:    cronJob(t).Spec.JobTemplate.Spec.Template.Spec,
		indexedFile: indexedJob(t).Spec.Template.Spec,
		listenFile:  listener(t).Spec.Template.Spec,
	}
	for _, file := range glob(t, folder+"/kubernetes/*") {
		if _, ok := known[file]; !ok && file != accountFile {
			t.Errorf("%s has no check", file)
		}
	}
	return known
}

func podCommand(file string, c corev1.Container) command {
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if from := e.ValueFrom; from != nil && from.SecretKeyRef != nil && e.Value == "" {
			env[e.Name] = secret
		}
	}
	return command{file: file, args: c.Args, env: env}
}

func kubernetesCommands(t *testing.T) []command {
	var all []command
	for file, pod := range pods(t) {
		for _, c := range pod.Containers {
			if len(c.Command) > 0 {
				t.Errorf("%s: command replaces the image's ENTRYPOINT", file)
			}
			all = append(all, podCommand(file, c))
		}
	}
	return all
}

func TestKubernetesPods(t *testing.T) {
	var account corev1.ServiceAccount
	decode(t, accountFile, &account)
	wantKind(t, accountFile, account.TypeMeta, "v1", "ServiceAccount")
	images := map[string]bool{}
	for file, pod := range pods(t) {
		t.Run(path.Base(file), func(t *testing.T) {
			if pod.ServiceAccountName != account.Name {
				t.Errorf("the account is %q, account.yaml has %q", pod.ServiceAccountName, account.Name)
			}
			if len(pod.Containers) != 1 {
				t.Fatalf("%d containers, want one", len(pod.Containers))
			}
			images[pod.Containers[0].Image] = true
			checkPodSecurity(t, pod)
			checkVolumes(t, file, pod)
			checkMemory(t, podCommand(file, pod.Containers[0]), pod.Containers[0].Resources.Limits.Memory(), nil)
		})
	}
	if len(images) != 1 {
		t.Errorf("the manifests name different images: %v", images)
	}
}

func checkPodSecurity(t *testing.T, pod corev1.PodSpec) {
	c := pod.Containers[0]
	s, own := pod.SecurityContext, c.SecurityContext
	if s == nil || own == nil {
		t.Fatal("no security context")
	}
	for rule, ok := range map[string]bool{
		"runs as non-root":        is(s.RunAsNonRoot, true) && s.RunAsUser != nil && *s.RunAsUser > 0,
		"user is not overridden":  own.RunAsUser == nil && own.RunAsNonRoot == nil,
		"seccomp RuntimeDefault":  s.SeccompProfile != nil && s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"no privilege escalation": is(own.AllowPrivilegeEscalation, false) && !is(own.Privileged, true),
		"read-only root":          is(own.ReadOnlyRootFilesystem, true),
		"no capabilities":         own.Capabilities != nil && slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(own.Capabilities.Add) == 0,
		"no token":                is(pod.AutomountServiceAccountToken, false),
		"nothing of the host":     !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
		"an image with a version": pinned(c.Image),
	} {
		if !ok {
			t.Errorf("missing: %s", rule)
		}
	}
}

func is[T comparable](p *T, want T) bool { return p != nil && *p == want }

func pinned(image string) bool {
	_, tag, _ := strings.Cut(path.Base(image), ":")
	return tag != "" && tag != "latest"
}

// checkVolumes checks that the only writable folder is a spool with a limit, and that the
// key file comes from a secret.
func checkVolumes(t *testing.T, file string, pod corev1.PodSpec) {
	c := pod.Containers[0]
	at := map[string]corev1.Volume{}
	for _, mount := range c.VolumeMounts {
		i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Fatalf("no volume is called %s", mount.Name)
		}
		if pod.Volumes[i].Secret != nil && !mount.ReadOnly {
			t.Errorf("%s can be written to", mount.MountPath)
		}
		at[mount.MountPath] = pod.Volumes[i]
	}
	cmd := podCommand(file, c)
	spool, _ := cmd.flag("spool")
	if empty := at[spool].EmptyDir; empty == nil || empty.SizeLimit == nil {
		t.Errorf("--spool=%s is not an emptyDir with a size limit", spool)
	}
	keyFile, _ := cmd.flag("key-file")
	from := at[path.Dir(keyFile)].Secret
	if from == nil {
		t.Fatalf("--key-file=%s is in no secret", keyFile)
	}
	create := "kubectl create secret generic " + from.SecretName + " --from-file=" + path.Base(keyFile) + "="
	if !strings.Contains(read(t, accountFile), create) {
		t.Errorf("account.yaml does not say how to make the secret: %s", create)
	}
	if is(from.DefaultMode, 0o440) != (pod.SecurityContext.FSGroup != nil) {
		t.Error("a key of mode 0440 needs an fsGroup that reads it")
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
			continue
		}
		ref := e.ValueFrom.SecretKeyRef
		if create := "kubectl create secret generic " + ref.Name + " --from-file=" + ref.Key + "="; !strings.Contains(read(t, file), create) {
			t.Errorf("%s does not say how to make the secret: %s", file, create)
		}
	}
}

// checkMemory checks that Go's memory limit, plus a spool in memory, stays below the limit
// of the container.
func checkMemory(t *testing.T, c command, limit, spool *resource.Quantity) {
	t.Helper()
	// What Go writes as 800MiB is 800Mi in Kubernetes.
	soft, err := resource.ParseQuantity(strings.TrimSuffix(c.env["GOMEMLIMIT"], "B"))
	if err != nil || limit.IsZero() {
		t.Fatalf("GOMEMLIMIT or the memory limit is missing: %v", err)
	}
	if spool != nil {
		soft.Add(*spool)
	}
	if ratio := soft.AsApproximateFloat64() / limit.AsApproximateFloat64(); ratio > 0.92 {
		t.Errorf("GOMEMLIMIT and spool need %s of %s", &soft, limit)
	}
}

func TestKubernetesCronJob(t *testing.T) {
	c := cronJob(t)
	parseSchedule(t, c.Spec.Schedule)
	if c.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent || c.Spec.StartingDeadlineSeconds == nil || c.Spec.TimeZone == nil {
		t.Error("want concurrencyPolicy Forbid, startingDeadlineSeconds and timeZone")
	}
	job := c.Spec.JobTemplate.Spec
	checkJob(t, job)
	if job.BackoffLimit == nil {
		t.Error("want a backoffLimit")
	}
	podCommand(cronFile, job.Template.Spec.Containers[0]).checkRate(t, 1)
}

func TestKubernetesIndexedJob(t *testing.T) {
	job := indexedJob(t).Spec
	checkJob(t, job)
	if !is(job.CompletionMode, batchv1.IndexedCompletion) || job.Completions == nil || job.Parallelism == nil || job.BackoffLimitPerIndex == nil {
		t.Fatal("want completionMode Indexed, completions, parallelism and backoffLimitPerIndex")
	}
	cmd := podCommand(indexedFile, job.Template.Spec.Containers[0])
	n := int(*job.Completions)
	if n < 2 || int(*job.Parallelism) != n || cmd.env["CVEXPORT_SHARD_COUNT"] != strconv.Itoa(n) {
		t.Errorf("completions %d, parallelism %d, CVEXPORT_SHARD_COUNT %q: want one number", n, *job.Parallelism, cmd.env["CVEXPORT_SHARD_COUNT"])
	}
	cmd.checkRate(t, n)
}

// checkJob checks that the exit codes that no retry can change end the job, that others
// do not, and that a job that hangs ends.
func checkJob(t *testing.T, job batchv1.JobSpec) {
	t.Helper()
	if job.ActiveDeadlineSeconds == nil {
		t.Error("want activeDeadlineSeconds")
	}
	if job.Template.Spec.RestartPolicy != corev1.RestartPolicyNever || job.PodFailurePolicy == nil {
		t.Fatal("want podFailurePolicy, and restartPolicy Never, without which there is none")
	}
	rules := job.PodFailurePolicy.Rules
	ends := map[int32]batchv1.PodFailurePolicyAction{}
	disruption := false
	for _, rule := range rules {
		if on := rule.OnExitCodes; on != nil {
			if !is(on.ContainerName, job.Template.Spec.Containers[0].Name) || on.Operator != batchv1.PodFailurePolicyOnExitCodesOpIn || !slices.IsSorted(on.Values) {
				t.Errorf("a rule for exit codes names no container, or is not In with sorted values: %+v", on)
			}
			for _, code := range on.Values {
				ends[code] = rule.Action
			}
		}
		for _, condition := range rule.OnPodConditions {
			disruption = disruption || condition.Type == corev1.DisruptionTarget && rule.Action == batchv1.PodFailurePolicyActionIgnore
		}
	}
	if len(ends) != 2 || ends[2] != batchv1.PodFailurePolicyActionFailJob || ends[4] != batchv1.PodFailurePolicyActionFailJob {
		t.Errorf("want FailJob for 2 and 4 and no rule for other exit codes, got %v", ends)
	}
	if !disruption {
		t.Error("want Ignore for the condition DisruptionTarget")
	}
}

func TestKubernetesListener(t *testing.T) {
	d := listener(t)
	for name, value := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Labels[name] != value {
			t.Errorf("its pods lack the label %s of its selector", name)
		}
	}
	// The other pods have app.kubernetes.io/name too.
	if d.Spec.Selector.MatchLabels["app.kubernetes.io/component"] == "" {
		t.Error("the selector would match the other pods")
	}
	if d.Spec.Replicas == nil {
		t.Fatal("want replicas")
	}
	podCommand(listenFile, d.Spec.Template.Spec.Containers[0]).checkRate(t, int(*d.Spec.Replicas))
}
