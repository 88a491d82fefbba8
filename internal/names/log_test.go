package names

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A line has the names that are known when it is written, whoever gave it the ids.
func TestHandler(t *testing.T) {
	var out bytes.Buffer
	var book Book
	log := slog.New(book.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})))
	of := log.With("project", id(1), "resource", "r")
	of.Info("unknown", "iteration", id(2).String())
	book.Add(id(1), "shop")
	book.Add(id(2), "")
	of.Info("of a project", "iteration", id(2).String())
	book.Add(id(2), "Iteration 2")
	of.With("iteration", id(2)).Info("of both", "images", 3)
	log.Info("of neither", "project", "shop")
	want := strings.ReplaceAll(strings.ReplaceAll(`msg=unknown project=1 resource=r iteration=2
msg="of a project" project=1 resource=r iteration=2 project_name=shop
msg="of both" project=1 resource=r iteration=2 images=3 project_name=shop iteration_name="Iteration 2"
msg="of neither" project=shop
`, "project=1", "project="+id(1).String()), "iteration=2", "iteration="+id(2).String())
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}
