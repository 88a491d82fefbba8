package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	digest "github.com/opencontainers/go-digest"
	"mvdan.cc/sh/v3/syntax"
)

const dockerfile = folder + "/Dockerfile"

func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, dockerfile)))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("%s: %s", dockerfile, w.Short)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages, want two", len(stages))
	}
	return stages
}

// noRegistry replaces the registry, which the linter would query.
type noRegistry struct{}

func (noRegistry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os":"linux","architecture":"amd64"}`), nil
}

// TestDockerfileLint runs what docker build --check runs.
func TestDockerfileLint(t *testing.T) {
	body := []byte(read(t, dockerfile))
	source := llb.NewSourceMap(nil, dockerfile, "Dockerfile", body)
	source.Definition = &llb.Definition{} // the linter dereferences it
	results, err := dockerfile2llb.DockerfileLint(t.Context(), body, dockerfile2llb.ConvertOpt{MetaResolver: noRegistry{}, SourceMap: source})
	if err != nil {
		t.Fatal(err)
	}
	if results.Error != nil {
		t.Error(results.Error.Message)
	}
	for _, w := range results.Warnings {
		t.Errorf("%s: %s", w.RuleName, w.Detail)
	}
}

func TestDockerfile(t *testing.T) {
	all := stages(t)
	build, final := all[0], all[1]

	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, root+"/go.mod"))
	if version == nil || build.BaseName != "golang:"+version[1] {
		t.Errorf("it is built in %s, but go.mod requires Go %v", build.BaseName, version)
	}
	if final.BaseName != "gcr.io/distroless/static-debian12:nonroot" {
		t.Errorf("the base image is %s", final.BaseName)
	}

	var user string
	var entry []string
	for _, c := range final.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Error("ENTRYPOINT needs a shell, and there is none")
			}
			entry = c.CmdLine
		case *instructions.RunCommand:
			t.Error("RUN in the final stage, which has nothing to run")
		}
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s is not the numbers of someone other than root", user)
	}
	if len(entry) != 1 || entry[0] != "/cvexport" {
		t.Errorf("ENTRYPOINT is %q", entry)
	}
	checkBuild(t, build)
}

// checkBuild checks that the build makes a static program with its version and without
// the paths of the build machine.
func checkBuild(t *testing.T, stage instructions.Stage) {
	declared := map[string]bool{}
	for _, c := range stage.Commands {
		if arg, ok := c.(*instructions.ArgCommand); ok {
			for _, a := range arg.Args {
				declared[a.Key] = true
			}
		}
		run, ok := c.(*instructions.RunCommand)
		if !ok {
			continue
		}
		if !declared["VERSION"] || !declared["TARGETOS"] || !declared["TARGETARCH"] {
			t.Errorf("the build uses arguments that are not declared before it: %v are", declared)
		}
		f, err := syntax.NewParser().Parse(strings.NewReader(strings.Join(run.CmdLine, " ")), dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&text, f); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"CGO_ENABLED=0 ", "GOOS=$TARGETOS ", "GOARCH=$TARGETARCH ", " go build ", " -trimpath ", " -tags disable_grpc_modules,grpcnotrace ", `"-s -w -X main.version=${VERSION}"`, " -o /cvexport ./cmd/cvexport"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the build lacks %s: %s", want, &text)
			}
		}
		return
	}
	t.Error("nothing is built")
}

// TestDockerignore checks that the build context has every file that the build reads, and
// not what is large or private.
func TestDockerignore(t *testing.T) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, root+"/.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".git", "warehouse/exports/data.parquet", "bin/cvexport", "check/package.json"} {
		if ok, err := ignored.MatchesOrParentMatches(want); err != nil || !ok {
			t.Errorf("%s would be sent: %v", want, err)
		}
	}
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,SFiles,EmbedFiles,Module", "./cmd/cvexport")
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	needed := []string{"go.mod", "go.sum"}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                         string
			GoFiles, SFiles, EmbedFiles []string
			Module                      *struct{ Main bool }
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, list := range [][]string{p.GoFiles, p.SFiles, p.EmbedFiles} {
			for _, name := range list {
				relative, err := filepath.Rel(top, filepath.Join(p.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				needed = append(needed, relative)
			}
		}
	}
	if len(needed) < 10 {
		t.Fatalf("the build reads only %v", needed)
	}
	for _, name := range needed {
		if ok, err := ignored.MatchesOrParentMatches(name); err != nil || ok {
			t.Errorf("%s would be missing: %v", name, err)
		}
	}
}
