// Package config resolves flags, environment variables and the configuration file to
// the Custom Vision resources of a run.
package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/schema"
)

// file is a configuration file. A resource takes what it does not set from the file.
type file struct {
	Warehouse   string     `yaml:"warehouse"`   // a relative path starts at the file's folder
	Rate        *float64   `yaml:"rate"`        // requests a second of each resource
	Concurrency *count     `yaml:"concurrency"` // pages in flight of each resource
	Resources   []resource `yaml:"resources"`
}

type resource struct {
	Name        string   `yaml:"name"`
	Endpoint    string   `yaml:"endpoint"`
	Key         key      `yaml:"key"`
	Projects    projects `yaml:"projects"`
	Rate        *float64 `yaml:"rate"`
	Concurrency *count   `yaml:"concurrency"`
	Warehouse   string   `yaml:"warehouse"`
}

// count is a whole number; as an int the decoder would truncate a fraction.
type count int

// UnmarshalYAML accepts whole numbers only.
func (c *count) UnmarshalYAML(node ast.Node) error {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		return &yaml.TypeError{DstType: reflect.TypeFor[int](), SrcType: reflect.TypeFor[string](), Token: node.GetToken()}
	}
	switch v := n.Value.(type) {
	case int64:
		*c = count(v)
	case uint64:
		*c = count(min(v, math.MaxInt32))
	}
	return nil
}

// key says where the training key is. It is never in the file itself.
type key struct {
	Env  string `yaml:"env"`  // the name of an environment variable
	File string `yaml:"file"` // a relative path starts at the configuration's folder
}

// projects selects projects; the zero value selects all.
type projects struct {
	IDs     []string `yaml:"ids"`
	Include []string `yaml:"include"` // patterns for the name, such as shop-*
	Exclude []string `yaml:"exclude"`
}

const (
	maxSize        = 1 << 20 // bytes of a configuration file
	maxConcurrency = 64
)

func read(name string) (*file, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxSize {
		err = fmt.Errorf("%s has %d bytes, too many for a configuration", name, info.Size())
	}
	var body []byte
	if err == nil {
		body, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	f, err := parse(name, body)
	if err != nil {
		return nil, err
	}
	// Schedulers start programs in folders of their own.
	resolve := func(path *string) {
		if *path != "" && !strings.Contains(*path, "://") && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(name), *path)
		}
	}
	resolve(&f.Warehouse)
	for i := range f.Resources {
		resolve(&f.Resources[i].Key.File)
		resolve(&f.Resources[i].Warehouse)
	}
	return f, nil
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
	if source.file, err = parser.ParseBytes(body, 0); err != nil {
		return nil, source.wrap(err)
	}
	if len(source.file.Docs) > 1 {
		return nil, fmt.Errorf("%s: it has %d documents, want one", name, len(source.file.Docs))
	}
	var f file
	if err := yaml.UnmarshalWithOptions(body, &f, yaml.Strict()); err != nil {
		return nil, source.wrap(err)
	}
	return &f, f.check(source)
}

func (f *file) check(s *source) error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, s.at(field, fmt.Errorf(format, args...)))
	}
	checkLimits := func(prefix string, rate *float64, concurrency *count) {
		if rate != nil && !(*rate > 0 && *rate <= 1e6) {
			wrong(prefix+"rate", "%v is not above 0 requests a second", *rate)
		}
		if concurrency != nil && (*concurrency < 1 || *concurrency > maxConcurrency) {
			wrong(prefix+"concurrency", "%d is not between 1 and %d", *concurrency, maxConcurrency)
		}
	}
	checkLimits("", f.Rate, f.Concurrency)
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
		switch {
		case r.Key.Env != "" && r.Key.File != "":
			wrong(prefix+"key", "it comes from env or from file, not both")
		case r.Key.Env == "" && r.Key.File == "":
			wrong(prefix+"key", "say where it comes from: {env: NAME} or {file: PATH}")
		case r.Key.Env != "" && !variable.MatchString(r.Key.Env):
			wrong(prefix+"key.env", "it is not the name of an environment variable")
		}
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
	}
	return errors.Join(errs...)
}

var (
	resourceName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	variable     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// source finds fields and their positions in the file.
type source struct {
	name string
	file *ast.File
}

// at adds the position of a field, or of the innermost one around it, to an error.
func (s *source) at(field string, err error) error {
	for f := field; ; f = parent(f) {
		p, pathErr := yaml.PathString(strings.TrimSuffix("$."+f, "."))
		if pathErr == nil {
			if node, nodeErr := p.FilterFile(s.file); nodeErr == nil && node != nil && node.GetToken() != nil {
				return fmt.Errorf("%s: %s: %w", s.position(node.GetToken()), field, err)
			}
		}
		if f == "" {
			return fmt.Errorf("%s: %s: %w", s.name, field, err)
		}
	}
}

func parent(field string) string {
	if at := strings.LastIndexAny(field, ".["); at >= 0 {
		return field[:at]
	}
	return ""
}

func (s *source) position(t *token.Token) string {
	return fmt.Sprintf("%s:%d:%d", s.name, t.Position.Line, t.Position.Column)
}

// wrap says where decoding failed. It leaves out the library's excerpt of the file,
// which may show a key that was put in the wrong place.
func (s *source) wrap(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil || e.GetToken().Position == nil {
		return fmt.Errorf("%s: this is not valid YAML: %w", s.name, err)
	}
	field := s.field(e.GetToken())
	message := e.GetMessage()
	var unknown *yaml.UnknownFieldError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%s: %s: there is no such field", s.position(e.GetToken()), field)
	case strings.HasSuffix(field, ".key"):
		message = "say where the key comes from: {env: NAME} or {file: PATH}; the key itself does not belong here"
	case field == "":
		return fmt.Errorf("%s: this is not valid YAML: %s", s.position(e.GetToken()), message)
	}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		message = "want " + kind(typed.DstType)
	}
	if overflow := new(yaml.OverflowError); errors.As(err, &overflow) {
		message = "the number does not fit"
	}
	return fmt.Errorf("%s: %s: %s", s.position(e.GetToken()), field, message)
}

func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Slice:
		return "a list"
	case reflect.Float64:
		return "a number"
	case reflect.Int:
		return "a whole number"
	case reflect.String:
		return "a string"
	}
	return "a mapping"
}

// field returns the path of the innermost field at a token, such as resources[0].rate.
func (s *source) field(at *token.Token) string {
	found := finder{at: at.Position}
	if s.file == nil { // parsing failed
		return ""
	}
	for _, doc := range s.file.Docs {
		if doc.Body != nil {
			ast.Walk(&found, doc.Body)
		}
	}
	return strings.TrimPrefix(strings.TrimPrefix(found.path, "$"), ".")
}

type finder struct {
	at   *token.Position
	path string
}

// Visit keeps the path of a node that starts at the token.
func (f *finder) Visit(node ast.Node) ast.Visitor {
	if t := node.GetToken(); t != nil && t.Position != nil && t.Position.Line == f.at.Line && t.Position.Column == f.at.Column {
		if p := node.GetPath(); len(p) > len(f.path) {
			f.path = p
		}
	}
	return f
}
