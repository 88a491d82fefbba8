package program

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Neither flag nor variable, or an empty variable, leaves the choice to the caller. An
// empty flag is refused.
func TestAddWarehouse(t *testing.T) {
	for name, tc := range map[string]struct {
		variable string
		args     []string
		want     string
		refused  bool
	}{
		"nothing":     {"", nil, "", false},
		"variable":    {"gs://b", nil, "gs://b", false},
		"flag":        {"gs://b", []string{"--warehouse", "here"}, "here", false},
		"empty flag":  {"gs://b", []string{"--warehouse", ""}, "gs://b", true},
		"empty value": {"", []string{"--warehouse="}, "", true},
	} {
		t.Setenv("CVEXPORT_WAREHOUSE", tc.variable)
		flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
		var address string
		AddWarehouse(flags, &address)
		if err := flags.Parse(tc.args); address != tc.want || (err != nil) != tc.refused {
			t.Errorf("%s: %q, %v", name, address, err)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:0": true, "[::1]:80": true, "localhost:1": true, "0.0.0.0:1": false, ":1": false, "example.com:1": false} {
		if got, err := IsLoopback(address); got != want || err != nil {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
	if _, err := IsLoopback("127.0.0.1"); err == nil || !strings.Contains(err.Error(), "is not host:port") {
		t.Error(err)
	}
}

// A request that has begun when run returns is answered. Serve returns run's error.
func TestServe(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-end
		io.WriteString(w, "done")
	})
	wrong, answers := errors.New("wrong"), make(chan string, 1)
	err := Serve(t.Context(), "127.0.0.1:0", &http.Server{Handler: handler}, func(_ context.Context, url string) error {
		go func() {
			resp, err := http.Get(url)
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			answers <- string(body)
		}()
		<-begun
		close(end)
		return wrong
	})
	if answer := <-answers; answer != "done" || !errors.Is(err, wrong) {
		t.Errorf("%s, %v", answer, err)
	}
	if err := Serve(t.Context(), "127.0.0.1:x", &http.Server{}, nil); err == nil {
		t.Error("a port that is none was served")
	}
}
