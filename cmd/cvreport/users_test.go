//go:build !windows

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Two users of one machine: alice runs cvreport, mallory watches and gets in its way.
const (
	alice   = 12001
	mallory = 65534
)

// pryVariable makes the test binary look for what it can read or change in a folder.
const pryVariable = "CVREPORT_TEST_PRY"

func init() {
	if os.Getenv(pryVariable) != "" {
		pry()
		os.Exit(0)
	}
}

func pry() {
	err := filepath.WalkDir(os.Getenv(pryVariable), func(path string, entry fs.DirEntry, err error) error {
		if entry == nil || err != nil && entry.IsDir() {
			return nil // which is what it is for
		}
		info, err := entry.Info()
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != alice || entry.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		if f, err := os.Open(path); err == nil {
			fmt.Println("can read", path, f.Close())
		}
		if err := os.Remove(path); err == nil {
			fmt.Println("can remove", path)
		}
		if err := os.Rename(path, path+".moved"); err == nil {
			fmt.Println("can move", path)
		}
		return nil
	})
	fmt.Println("done", err)
}

// TestTwoUsers is run by root, who can be anybody.
func TestTwoUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can start programs as other users")
	}
	root := newWarehouse(t, "warehouse")
	base, home := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.Chmod(filepath.Dir(base), 0o755), os.Chmod(filepath.Dir(filepath.Dir(root)), 0o755), os.Chmod(filepath.Dir(root), 0o755),
		os.Chmod(base, fs.ModeSticky|0o777), // like /tmp
		os.Chmod(home, 0o700), os.Chown(home, alice, alice),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(filepath.Dir(base), "cvreport")
	if err := os.Link(os.Args[0], program); err != nil {
		copied := exec.Command("cp", os.Args[0], program)
		if out, err := copied.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	as := func(uid uint32, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir = base
		cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+base, "HOME="+home, "XDG_CACHE_HOME=", "CVEXPORT_CACHE=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd
	}
	precious := filepath.Join(home, "precious")
	if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), os.Chown(precious, alice, alice)); err != nil {
		t.Fatal(err)
	}
	// Mallory plants links where DuckDB would put its files and where results go.
	trap := filepath.Join(base, "trap")
	if err := errors.Join(os.Mkdir(trap, 0o777), os.Chmod(trap, 0o777), os.Chown(trap, mallory, mallory)); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{".tmp": trap, "report.html": precious, "result.csv": precious, "fresh.csv": filepath.Join(home, "none"), ".cvexport-run-AAAA": home} {
		link := filepath.Join(base, name)
		if err := errors.Join(os.Symlink(to, link), os.Lchown(link, mallory, mallory)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"html", "--warehouse", root, "-o", "report.html"},
		{"query", "--warehouse", root, "-o", "result.csv", "FROM predictions"},
		{"query", "--warehouse", root, "-o", filepath.Join(base, "fresh.csv"), "FROM predictions"},
		{"query", "--warehouse", root, "-o", "report.html", "--format", "parquet", "FROM predictions"},
	} {
		if out, err := as(alice, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "another user") && !strings.Contains(string(out), "permission denied") {
			t.Errorf("%q through a link of mallory: %v: %s", args, err, out)
		}
	}
	// A query that has more than fits into memory and into the pipe waits, and mallory looks.
	const big = "SET memory_limit = '60MB'; SET threads = 1; SELECT hash(i) AS h, repeat('x', 20) AS x FROM range(1500000) AS t(i) ORDER BY h"
	query := as(alice, "query", "--warehouse", root, "--format", "csv", big)
	stdout, err := query.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := query.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 10)); err != nil {
		t.Errorf("the query wrote nothing: %v", err)
	}
	if runs := runsOf(t, base, alice); len(runs) != 1 {
		t.Errorf("alice's run has the folders %q", runs)
	}
	spy := as(mallory)
	spy.Env = append(spy.Env, asCommand+"=", pryVariable+"="+base)
	if out, err := spy.CombinedOutput(); err != nil || string(out) != "done <nil>\n" {
		t.Errorf("while alice's query ran, mallory: %v: %s", err, out)
	}
	// Runs of others, and of alice herself, leave a living run's folder alone; once it is
	// killed, only alice's removes it.
	short := func(uid uint32) {
		t.Helper()
		if out, err := as(uid, "query", "--warehouse", root, "SELECT 1").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	short(alice)
	if runs := runsOf(t, base, alice); len(runs) != 1 {
		t.Errorf("after another run, the living one has %q", runs)
	}
	if err := query.Process.Kill(); err != nil {
		t.Error(err)
	}
	query.Wait()
	short(mallory)
	if runs := runsOf(t, base, alice); len(runs) != 1 {
		t.Errorf("after mallory's run, the killed one has %q", runs)
	}
	short(alice)
	if runs := runsOf(t, base, alice); len(runs) != 0 {
		t.Errorf("a killed run leaves %q after the next one", runs)
	}
	if left, err := os.ReadDir(trap); err != nil || len(left) > 0 {
		t.Errorf("in mallory's folder there are %v, %v", left, err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
		t.Errorf("alice's file is %q, %v", text, err)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 1 {
		t.Errorf("alice's folder has %v, %v", left, err)
	}
	servedToAlice(t, as(alice, "serve", "--warehouse", root, "--listen", "127.0.0.1:0"))
}

// runsOf returns the folders of a user's runs.
func runsOf(t *testing.T, base string, uid uint32) (runs []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(base, ".cvexport-run-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if info, err := os.Lstat(path); err == nil && info.Sys().(*syscall.Stat_t).Uid == uid {
			runs = append(runs, path)
		}
	}
	return runs
}

// servedToAlice starts cvreport serve, and asks as somebody without her token and with it.
func servedToAlice(t *testing.T, serve *exec.Cmd) {
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(serve.Process.Signal(os.Interrupt), serve.Wait()); err != nil {
			t.Errorf("interrupted, it ends with %v", err)
		}
	}()
	banner, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(banner, " at ")
	address, _, _ = strings.Cut(address, " ")
	site, _, _ := strings.Cut(address, "?")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(url string, cookies ...*http.Cookie) (int, *http.Response) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode, response
	}
	code, entered := get(address)
	if code != http.StatusSeeOther || len(entered.Cookies()) != 1 {
		t.Fatalf("with the token: %s, %v", entered.Status, entered.Header)
	}
	path := strings.TrimPrefix(entered.Header.Get("Location"), "/")
	for _, url := range []string{site, site + "report", site + "?token=x", site + path} {
		if code, _ := get(url); code != http.StatusForbidden {
			t.Errorf("without token and cookie: %d", code)
		}
	}
	if code, _ := get(site+path, entered.Cookies()...); code != http.StatusOK {
		t.Errorf("with the cookie: %d", code)
	}
}
