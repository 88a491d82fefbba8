package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cvexport/cvexport/internal/simulated"
)

// Commands for scripts that testscript does not have: send signals to a running
// process, and print a Parquet column.

// process returns the command as a process, with the script's folder and variables.
func process(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), asCommand+"=1")
	for _, name := range []string{"HOME", "VISION_TRAINING_ENDPOINT", "VISION_TRAINING_KEY", "CVEXPORT_WAREHOUSE", "CVEXPORT_CONFIG", "CVEXPORT_PING", "AZURE_STORAGE_CONNECTION_STRING"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stderr = ts.Stderr()
	return cmd
}

var signals = map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}

// exited checks how a process ended.
func exited(ts *testscript.TestScript, err error, want string) {
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// simulators are the processes that simulate for scripts.
var simulators sync.Map

// startSimulate runs "cvexport simulate" in the background, and sets the variables that
// its first lines print: "simulate cvexport simulate --images 20".
func startSimulate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] != "cvexport" {
		ts.Fatalf("usage: simulate cvexport simulate FLAGS...")
	}
	cmd := process(ts, args[1:])
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() { cmd.Process.Kill() }) // if the script has not stopped it
	lines := bufio.NewReader(io.TeeReader(stdout, ts.Stdout()))
	for _, pattern := range []string{`^export (VISION_TRAINING_ENDPOINT)=(\S+) (VISION_TRAINING_KEY)=(\S+)\n$`, `^# (project) (\S+) `} {
		line, err := lines.ReadString('\n')
		if err != nil {
			ts.Fatalf("it printed %q and ended: %v", line, cmd.Wait())
		}
		match := regexp.MustCompile(pattern).FindStringSubmatch(line)
		if match == nil {
			ts.Fatalf("it printed %q, want %s", line, pattern)
		}
		if match[1] == "project" {
			match[1] = "PROJECT"
		}
		for i := 1; i < len(match); i += 2 {
			ts.Setenv(match[i], match[i+1])
		}
	}
	simulators.Store(ts, cmd)
}

// stopSimulate sends it a signal and checks its exit code: "ends INT 0".
func stopSimulate(ts *testscript.TestScript, neg bool, args []string) {
	running, ok := simulators.LoadAndDelete(ts)
	if neg || len(args) != 2 || !ok || signals[args[0]] == nil {
		ts.Fatalf("usage: ends INT|TERM CODE, after simulate")
	}
	cmd := running.(*exec.Cmd)
	ts.Check(cmd.Process.Signal(signals[args[0]]))
	exited(ts, cmd.Wait(), args[1])
}

// interrupt sends a signal to a command once it has requested page 1, and checks
// its exit code: "interrupt INT 130 cvexport nightly".
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	value, ok := started.Load(ts)
	if neg || len(args) < 4 || signals[args[0]] == nil || args[2] != "cvexport" || !ok {
		ts.Fatalf("usage: interrupt INT|TERM CODE cvexport COMMAND..., after service")
	}
	cmd := process(ts, args[3:])
	cmd.Stdout = ts.Stdout()
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !slices.ContainsFunc(value.(*simulated.Service).Requests(), func(r simulated.Request) bool { return r.Page == 1 }) {
		select {
		case err := <-ended:
			ts.Fatalf("it ended before it requested page 1: %v", err)
		default:
			runtime.Gosched()
		}
	}
	ts.Check(cmd.Process.Signal(signals[args[0]]))
	exited(ts, <-ended, args[1])
}

// printColumn prints a column of a Parquet file: "column image_uri FILE".
func printColumn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: column NAME FILE")
	}
	f, err := file.OpenParquetFile(ts.MkAbs(args[1]), false)
	ts.Check(err)
	defer f.Close()
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	ts.Check(err)
	table, err := reader.ReadTable(context.Background())
	ts.Check(err)
	defer table.Release()
	var text bytes.Buffer
	for _, i := range table.Schema().FieldIndices(args[0]) {
		for _, chunk := range table.Column(i).Data().Chunks() {
			for row := range chunk.Len() {
				text.WriteString(chunk.ValueStr(row) + "\n")
			}
		}
	}
	_, err = text.WriteTo(ts.Stdout())
	ts.Check(err)
}
