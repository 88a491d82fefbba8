// Command systems type-checks a program and all that it imports for other operating
// systems, in a tenth of the time that compiling takes.
//
//	go run ./systems ../cmd/cvexport darwin windows
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: systems FOLDER SYSTEM...")
		os.Exit(2)
	}
	for _, system := range os.Args[2:] {
		if err := check(os.Args[1], system); err != nil {
			fmt.Fprintf(os.Stderr, "for %s: %v\n", system, err)
			os.Exit(1)
		}
	}
}

// check type-checks the program in a folder for a system, a value of GOOS.
func check(folder, system string) error {
	cfg := &packages.Config{Dir: folder, Env: append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")}
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}", ".")
	list.Dir, list.Env, list.Stderr = cfg.Dir, cfg.Env, os.Stderr
	own, err := list.Output()
	if err != nil {
		return fmt.Errorf("listing the packages of %s: %w", folder, err)
	}
	// Load checks function bodies only in the packages that it is given.
	cfg.Mode = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes
	all, err := packages.Load(cfg, strings.Fields(string(own))...)
	if err != nil {
		return err
	}
	if n := packages.PrintErrors(all); n > 0 {
		return fmt.Errorf("%d type errors", n)
	}
	fmt.Printf("%s: %d packages checked\n", system, len(all))
	return nil
}
