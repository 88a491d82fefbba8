//go:build !windows

package main

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
)

// Two users share a warehouse by their group, as docs/how-to/warehouses.md says. A third one can neither
// write it, nor hold its lock, nor lead what is written elsewhere.
func TestSharedWarehouse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start programs as other users")
	}
	const alice, bob, mallory, group = 12001, 12002, 65534, 12000
	service, err := simulated.New(simulated.Config{Kind: simulated.Detection, Images: 20, Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	base := t.TempDir()
	root, temporary := filepath.Join(base, "warehouse"), filepath.Join(base, "tmp")
	program := filepath.Join(base, "cvexport")
	for _, err := range []error{
		os.Chmod(base, 0o755), os.Chmod(filepath.Dir(base), 0o755), os.Mkdir(root, 0o775), os.Chown(root, alice, group), os.Chmod(root, fs.ModeSetgid|0o775),
		os.Mkdir(temporary, 0o777), os.Chmod(temporary, fs.ModeSticky|0o777),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(os.Args[0], program); err != nil {
		if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// The report and the metrics of alice's run go where mallory has planted links.
	precious := filepath.Join(base, "precious")
	if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), os.Chown(precious, alice, alice)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "x.prom", ".y.prom.lock"} {
		link := filepath.Join(temporary, name)
		if err := errors.Join(os.Symlink(precious, link), os.Lchown(link, mallory, mallory)); err != nil {
			t.Fatal(err)
		}
	}
	export := func(uid uint32, groups []uint32, umask string, flags ...string) (string, error) {
		args := append([]string{"-c", `umask ` + umask + `; exec "$0" "$@"`, program, "export", "--project", service.Projects()[0].ID.String(), "--iteration", "latest", "--warehouse", root, "--rate", "1000"}, flags...)
		cmd := exec.Command("sh", args...)
		cmd.Dir = base
		cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+temporary, "HOME="+base, "VISION_TRAINING_ENDPOINT="+server.URL, "VISION_TRAINING_KEY=key", "CVEXPORT_WAREHOUSE=", "CVEXPORT_CONFIG=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: groups}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	members := []uint32{group}
	if out, err := export(alice, members, "002"); err != nil {
		t.Fatalf("alice: %v: %s", err, out)
	}
	if out, err := export(bob, members, "002", "--force"); err != nil {
		t.Errorf("bob: %v: %s", err, out)
	}
	if out, err := export(mallory, nil, "002", "--force"); err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("mallory: %v: %s", err, out)
	}
	if out, err := export(alice, members, "077", "--force"); err != nil {
		t.Errorf("alice, who now keeps it to herself: %v: %s", err, out)
	}
	objects := 0
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600) // of her last export; the folders and the lock are those of the first
		switch {
		case entry.IsDir():
			want = fs.ModeDir | fs.ModeSetgid | 0o775
		case entry.Name() == ".cvexport.lock":
			want = 0o660
		default:
			objects++
		}
		if info.Mode() != want || info.Sys().(*syscall.Stat_t).Gid != group {
			t.Errorf("%s has mode %v and group %d, want %v and %d", path, info.Mode(), info.Sys().(*syscall.Stat_t).Gid, want, group)
		}
		return nil
	})
	if err != nil || objects != 6 {
		t.Errorf("%d objects, %v", objects, err)
	}
	for flag, name := range map[string]string{"--report": "report.json", "--metrics-file": "x.prom"} {
		out, err := export(alice, members, "022", flag, filepath.Join(temporary, name))
		if err == nil || !strings.Contains(out, "another user") && !strings.Contains(out, "permission denied") {
			t.Errorf("%s through a link of mallory: %v: %s", flag, err, out)
		}
	}
	if out, err := export(alice, members, "022", "--metrics-file", filepath.Join(temporary, "y.prom")); err == nil || !strings.Contains(out, "not a file") {
		t.Errorf("a lock that is a link of mallory: %v: %s", err, out)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
		t.Errorf("alice's file is %q, %v", text, err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) != 3 { // the links
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}
