package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// monitor is a monitor for scripts, which records what it is told.
type monitor struct {
	mu   sync.Mutex
	told []string // actions since they were last looked at: start, done, fail
	ids  []string // of the runs
	last string   // body
}

const monitorToken = "/4f8c20b1-6f6e-4a60-b2c1-9f3f7d1f7a55"

var monitors sync.Map // the last one of each script

// startMonitor starts a monitor, sets MONITOR to its address and writes that to address.txt: "monitor", or "monitor silent",
// which never answers the last message.
func startMonitor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 || len(args) == 1 && args[0] != "silent" {
		ts.Fatalf("usage: monitor [silent]")
	}
	m := &monitor{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		action := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, monitorToken), "/")
		if err != nil || r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, monitorToken) {
			action = fmt.Sprintf("%s %s, %v", r.Method, r.URL, err)
		}
		m.mu.Lock()
		m.told = append(m.told, map[bool]string{true: "done", false: action}[action == ""])
		m.ids = append(m.ids, r.URL.Query().Get("rid"))
		m.last = string(body)
		m.mu.Unlock()
		if len(args) == 1 && action != "start" {
			<-r.Context().Done()
		}
		io.WriteString(w, "OK")
	}))
	ts.Defer(server.Close)
	ts.Setenv("MONITOR", server.URL+monitorToken)
	ts.Check(os.WriteFile(ts.MkAbs("address.txt"), []byte("\ufeffCVEXPORT_PING='"+server.URL+monitorToken+"'\r\n"), 0o600))
	monitors.Store(ts, m)
}

// wasTold checks what the monitor was told by one run since it was last asked, and writes the
// last message to told.txt: "told start done".
func wasTold(ts *testscript.TestScript, neg bool, args []string) {
	value, ok := monitors.Load(ts)
	if neg || !ok {
		ts.Fatalf("usage: told ACTION..., after monitor")
	}
	m := value.(*monitor)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.told, args) {
		ts.Fatalf("it was told %v, want %v", m.told, args)
	}
	if ids := slices.Compact(m.ids); len(args) > 0 && (len(ids) != 1 || len(ids[0]) != 36) {
		ts.Fatalf("the run's ids are %q, want one", ids)
	}
	m.told, m.ids = nil, nil
	ts.Check(os.WriteFile(ts.MkAbs("told.txt"), []byte(m.last), 0o600))
}
