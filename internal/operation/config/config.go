// Package config resolves flags, environment variables and the configuration file to
// the Custom Vision resources of a run.
package config

import (
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// file is a configuration file. A resource takes what it does not set from the file.
type file struct {
	Warehouse   string     `yaml:"warehouse"`   // a relative path starts at the file's folder
	Rate        *float64   `yaml:"rate"`        // requests a second of each resource
	Concurrency *float64   `yaml:"concurrency"` // pages in flight of each resource
	Ping        key        `yaml:"ping"`        // the address of a monitor of cvexport nightly
	Resources   []resource `yaml:"resources"`
}

type resource struct {
	Name        string   `yaml:"name"`
	Endpoint    string   `yaml:"endpoint"`
	Key         key      `yaml:"key"`
	Projects    projects `yaml:"projects"`
	Rate        *float64 `yaml:"rate"`
	Concurrency *float64 `yaml:"concurrency"`
	Warehouse   string   `yaml:"warehouse"`
}

// key says where a secret is. It is never in the file itself.
type key struct {
	Env  string `yaml:"env"`  // the name of an environment variable
	File string `yaml:"file"` // a relative path starts at the configuration's folder

	typed string // what is to be put into File
}

// projects selects projects; the zero value selects all.
type projects struct {
	IDs     []string `yaml:"ids"`
	Include []string `yaml:"include"` // patterns for the name, such as shop-*
	Exclude []string `yaml:"exclude"`
}

const (
	maxSize        = 1 << 20 // bytes of a configuration file
	maxKey         = 4096    // bytes of a key file
	maxNesting     = 100     // lists and mappings in one another; a configuration has four
	maxColumn      = 10_000  // where something begins in a line
	maxResources   = 1000
	maxConcurrency = 64
	maxRate        = 1_000_000
)

func read(name string) (*file, error) {
	body, err := readBody(name)
	if err != nil {
		return nil, err
	}
	return parseAt(name, body)
}

func readBody(name string) ([]byte, error) {
	body, err := regular.ReadGiven(name, maxSize)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return body, nil
}

// parseAt is parse for a file whose relative paths start at its folder: schedulers start
// programs in folders of their own.
func parseAt(name string, body []byte) (*file, error) {
	f, err := parse(name, body)
	if err != nil {
		return nil, err
	}
	resolve := func(path *string) { *path = resolvePath(name, *path) }
	resolve(&f.Warehouse)
	resolve(&f.Ping.File)
	for i := range f.Resources {
		resolve(&f.Resources[i].Key.File)
		resolve(&f.Resources[i].Warehouse)
	}
	return f, nil
}

func resolvePath(config, path string) string {
	if path == "" || strings.Contains(path, "://") || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(config), path)
}

// parse decodes and checks a configuration. Unknown fields and wrong types are
// errors. Errors start with name:line:column and the field, and show no value that
// could be a key.
func parse(name string, body []byte) (_ *file, err error) {
	// The YAML library panics on some input that no configuration has, such as a tag
	// with a comment in place of its value. The panic's message could show anything.
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%s: this YAML cannot be read; leave out tags (!), anchors (&) and aliases (*)", name)
		}
	}()
	source := &source{name: name}
	if err := checkNesting(body); err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	tree, err := parser.ParseBytes(body, 0)
	if err != nil {
		return nil, source.wrap(err)
	}
	if len(tree.Docs) > 1 {
		return nil, fmt.Errorf("%s: it has %d documents, want one", name, len(tree.Docs))
	}
	for _, doc := range tree.Docs {
		if doc.Body != nil {
			ast.Walk(source, doc.Body)
		}
	}
	var f file
	if err := yaml.UnmarshalWithOptions(body, &f, yaml.Strict()); err != nil {
		return nil, source.wrap(err)
	}
	return &f, f.check(source)
}

// checkNesting refuses what a configuration needs nothing of, and what the YAML library
// takes gigabytes of memory or of stack for: aliases, which may stand for one another over
// and over, and lists in lists.
func checkNesting(body []byte) error {
	flow, line, dashes := 0, 0, 0
	for _, t := range lexer.Tokenize(string(body)) {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.AliasType, token.AnchorType, token.MergeKeyType:
			return fmt.Errorf("%d: this YAML cannot be read; leave out tags (!), anchors (&) and aliases (*)", line)
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType:
			dashes++
		}
		if flow+dashes > maxNesting || t.Position.Column > maxColumn {
			return fmt.Errorf("%d: it is nested deeper than %d levels, or %d columns wide", line, maxNesting, maxColumn)
		}
	}
	return nil
}

func (f *file) check(s *source) error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, s.at(field, fmt.Errorf(format, args...)))
	}
	checkLimits := func(prefix string, rate, concurrency *float64) {
		if rate != nil && !(*rate > 0 && *rate <= maxRate) {
			wrong(prefix+"rate", "%v is not above 0 requests a second, and at most %d", *rate, maxRate)
		}
		if concurrency != nil && !(*concurrency >= 1 && *concurrency <= maxConcurrency && *concurrency == math.Trunc(*concurrency)) {
			wrong(prefix+"concurrency", "%v is not a whole number between 1 and %d", *concurrency, maxConcurrency)
		}
	}
	checkWarehouse := func(field, address string) { // before a relative path is made absolute
		if err := open.CheckText(address); err != nil {
			wrong(field, "%w", err)
		}
	}
	checkSecret := func(field string, k key) {
		switch {
		case k.Env != "" && k.File != "":
			wrong(field, "it comes from env or from file, not both")
		case k.Env == "" && k.File == "":
			wrong(field, "say where it comes from: {env: NAME} or {file: PATH}")
		case k.Env != "" && !variable.MatchString(k.Env):
			wrong(field+".env", "it is not the name of an environment variable")
		}
	}
	checkWarehouse("warehouse", f.Warehouse)
	if s.has("ping") {
		checkSecret("ping", f.Ping)
	}
	checkLimits("", f.Rate, f.Concurrency)
	if len(f.Resources) > maxResources {
		wrong("resources", "there are %d; at most %d can be in one file", len(f.Resources), maxResources)
		return errors.Join(errs...)
	}
	if len(f.Resources) == 0 {
		wrong("resources", "at least one resource is needed")
	}
	names := map[string]bool{}
	for i, r := range f.Resources {
		prefix := fmt.Sprintf("resources[%d].", i)
		switch {
		case !resourceName.MatchString(r.Name):
			wrong(prefix+"name", "%q is not a name of letters, digits, dots, dashes and underscores", r.Name)
		case names[r.Name]:
			wrong(prefix+"name", "%q is also the name of an earlier resource", r.Name)
		}
		names[r.Name] = true
		if _, err := extract.ParseEndpoint(r.Endpoint); err != nil {
			wrong(prefix+"endpoint", "%w", err)
		}
		checkSecret(prefix+"key", r.Key)
		for j, id := range r.Projects.IDs {
			if _, err := schema.ParseID(id); err != nil {
				wrong(fmt.Sprintf("%sprojects.ids[%d]", prefix, j), "%w", err)
			}
		}
		for field, patterns := range map[string][]string{"include": r.Projects.Include, "exclude": r.Projects.Exclude} {
			for j, pattern := range patterns {
				if _, err := path.Match(pattern, ""); err != nil {
					wrong(fmt.Sprintf("%sprojects.%s[%d]", prefix, field, j), "%q: %w", pattern, err)
				}
			}
		}
		checkLimits(prefix, r.Rate, r.Concurrency)
		checkWarehouse(prefix+"warehouse", r.Warehouse)
	}
	return errors.Join(errs...)
}

var (
	resourceName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	variable     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// source knows where the nodes of the file are.
type source struct {
	name  string
	nodes []node
}

type node struct {
	field string // such as resources[0].rate
	at    *token.Position
}

// Visit notes a node.
func (s *source) Visit(n ast.Node) ast.Visitor {
	if t := n.GetToken(); t != nil && t.Position != nil {
		s.nodes = append(s.nodes, node{strings.TrimPrefix(strings.TrimPrefix(n.GetPath(), "$"), "."), t.Position})
	}
	return s
}

// has reports whether the file has a field.
func (s *source) has(field string) bool {
	return slices.ContainsFunc(s.nodes, func(n node) bool { return n.field == field })
}

// at adds the position of a field, or of the innermost one around it, to an error.
func (s *source) at(field string, err error) error {
	for f := field; f != ""; f = f[:max(strings.LastIndexAny(f, ".["), 0)] {
		for _, n := range slices.Backward(s.nodes) { // a field's value follows its name
			if n.field == f {
				return fmt.Errorf("%s: %s: %w", s.position(n.at), field, err)
			}
		}
	}
	return fmt.Errorf("%s: %s: %w", s.name, field, err)
}

func (s *source) position(at *token.Position) string {
	return fmt.Sprintf("%s:%d:%d", s.name, at.Line, at.Column)
}

// field returns the innermost field at a position.
func (s *source) field(at *token.Position) (field string) {
	for _, n := range s.nodes {
		if n.at.Line == at.Line && n.at.Column == at.Column && len(n.field) > len(field) {
			field = n.field
		}
	}
	return field
}

// wrap says where decoding failed. It leaves out the library's excerpt of the file,
// which may show a key that was put in the wrong place.
func (s *source) wrap(err error) error {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil || e.GetToken().Position == nil {
		return fmt.Errorf("%s: this is not valid YAML: %w", s.name, err)
	}
	at := e.GetToken().Position
	field, message := s.field(at), e.GetMessage()
	switch {
	case strings.HasSuffix(field, ".key"):
		message = "say where the key comes from: {env: NAME} or {file: PATH}; the key itself does not belong here"
	case field == "ping":
		message = "say where the address comes from: {env: NAME} or {file: PATH}; the address itself is a secret, and does not belong here"
	}
	switch e := e.(type) {
	case *yaml.UnknownFieldError:
		message = "there is no such field"
	case *yaml.TypeError:
		message = "want " + kind(e.DstType)
	}
	if field == "" {
		return fmt.Errorf("%s: this is not valid YAML: %s", s.position(at), message)
	}
	return fmt.Errorf("%s: %s: %s", s.position(at), field, message)
}

func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Slice:
		return "a list"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	}
	return "a mapping"
}
