// Command systems type-checks a program and all that it imports for other operating
// systems, in a tenth of the time that compiling takes.
//
//	go run ./systems ../cmd/cvexport darwin windows
package main

import (
	"fmt"
	"os"
	"path/filepath"

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
	root, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	cfg := &packages.Config{Dir: root, Env: append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")}
	own, err := ownPackages(cfg)
	if err != nil {
		return err
	}
	// Load checks function bodies only in the packages that it is given.
	cfg.Mode = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes
	all, err := packages.Load(cfg, own...)
	if err != nil {
		return err
	}
	if n := packages.PrintErrors(all); n > 0 {
		return fmt.Errorf("%d type errors", n)
	}
	fmt.Printf("%s: %d packages checked\n", system, len(all))
	return nil
}

// ownPackages returns the packages of the program that are in its own module.
func ownPackages(cfg *packages.Config) (paths []string, err error) {
	cfg.Mode = packages.NeedName | packages.NeedImports | packages.NeedDeps | packages.NeedModule
	program, err := packages.Load(cfg, ".")
	if err != nil {
		return nil, err
	}
	if packages.PrintErrors(program) > 0 || len(program) != 1 || program[0].Module == nil {
		return nil, fmt.Errorf("%s is not a package in a module", cfg.Dir)
	}
	packages.Visit(program, nil, func(p *packages.Package) {
		if p.Module != nil && p.Module.Path == program[0].Module.Path {
			paths = append(paths, p.PkgPath)
		}
	})
	return paths, nil
}
