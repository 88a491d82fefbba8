// Package config reads the configuration file: which Custom Vision resources to
// export, and to where. Decoding is strict: what is not known, or not of its
// type, is an error that names line, column and field.
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

// File is a configuration. A nil or empty field is not set; what a resource does
// not set it takes from the file.
type File struct {
	Warehouse   string     `yaml:"warehouse"`   // a relative folder begins at the configuration's
	Rate        *float64   `yaml:"rate"`        // requests a second of each resource
	Concurrency *Count     `yaml:"concurrency"` // pages in flight of each resource
	Resources   []Resource `yaml:"resources"`
}

// Resource is one Custom Vision resource.
type Resource struct {
	Name        string   `yaml:"name"`
	Endpoint    string   `yaml:"endpoint"`
	Key         Key      `yaml:"key"`
	Projects    Projects `yaml:"projects"`
	Rate        *float64 `yaml:"rate"`
	Concurrency *Count   `yaml:"concurrency"`
	Warehouse   string   `yaml:"warehouse"`
}

// Count is a whole number; the decoder would cut off a fraction.
type Count int

// UnmarshalYAML takes whole numbers only.
func (c *Count) UnmarshalYAML(node ast.Node) error {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		return &yaml.TypeError{DstType: reflect.TypeFor[int](), SrcType: reflect.TypeFor[string](), Token: node.GetToken()}
	}
	switch v := n.Value.(type) {
	case int64:
		*c = Count(v)
	case uint64:
		*c = Count(min(v, math.MaxInt32))
	}
	return nil
}

// Key says where the training key comes from. It is never in the file itself.
type Key struct {
	Env  string `yaml:"env"`  // the name of an environment variable
	File string `yaml:"file"` // the path of a file; a relative one begins at the configuration's folder
}

// Projects says which projects are wanted; none of the fields: all.
type Projects struct {
	IDs     []string `yaml:"ids"`
	Include []string `yaml:"include"` // patterns for the name, such as shop-*
	Exclude []string `yaml:"exclude"`
}

// maxSize is far above any configuration.
const maxSize = 1 << 20

// Read reads and checks a file.
func Read(name string) (*File, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxSize {
		err = fmt.Errorf("%s has %d bytes, which is no configuration", name, info.Size())
	}
	var body []byte
	if err == nil {
		body, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	f, err := Parse(name, body)
	if err != nil {
		return nil, err
	}
	// Schedulers start programs in folders of their own.
	beside := func(file *string) {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(name), *file)
		}
	}
	folder := func(warehouse *string) {
		if !strings.Contains(*warehouse, "://") {
			beside(warehouse)
		}
	}
	folder(&f.Warehouse)
	for i := range f.Resources {
		beside(&f.Resources[i].Key.File)
		folder(&f.Resources[i].Warehouse)
	}
	return f, nil
}

// Parse decodes and checks a configuration. Errors begin with name:line:column
// and the field, and show no value that could be a key.
func Parse(name string, body []byte) (_ *File, err error) {
	// The reader of YAML panics on some of what no configuration has, such as a tag
	// with a comment in place of its value. What it says then could show anything.
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%s: it holds YAML that cannot be read; leave out tags (!), anchors (&) and aliases (*)", name)
		}
	}()
	source := &source{name: name}
	if source.file, err = parser.ParseBytes(body, 0); err != nil {
		return nil, source.wrap(err)
	}
	if len(source.file.Docs) > 1 {
		return nil, fmt.Errorf("%s: it holds %d documents, want one", name, len(source.file.Docs))
	}
	var f File
	if err := yaml.UnmarshalWithOptions(body, &f, yaml.Strict()); err != nil {
		return nil, source.wrap(err)
	}
	return &f, f.check(source)
}

func (f *File) check(s *source) error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, s.at(field, fmt.Errorf(format, args...)))
	}
	checkLimits := func(prefix string, rate *float64, concurrency *Count) {
		if rate != nil && !(*rate > 0 && *rate <= 1e6) {
			wrong(prefix+"rate", "%v is not above 0 requests a second", *rate)
		}
		if concurrency != nil && (*concurrency < 1 || *concurrency > 64) {
			wrong(prefix+"concurrency", "%d is not between 1 and 64", *concurrency)
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
			wrong(prefix+"name", "%q is the name of an earlier resource too", r.Name)
		}
		names[r.Name] = true
		if _, err := extract.ParseEndpoint(r.Endpoint); err != nil {
			wrong(prefix+"endpoint", "%w", err)
		}
		switch {
		case r.Key.Env != "" && r.Key.File != "":
			wrong(prefix+"key", "it comes from env or from file, not from both")
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

// source finds fields and positions in what was decoded.
type source struct {
	name string
	file *ast.File
}

// at says where a field is, or the one it should be in.
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

// wrap says where decoding failed, without the source, which may hold a key where
// none should be.
func (s *source) wrap(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil || e.GetToken().Position == nil {
		return fmt.Errorf("%s: it is not the yaml it should be: %w", s.name, err)
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
		return fmt.Errorf("%s: it is not the yaml it should be: %s", s.position(e.GetToken()), message)
	}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		message = "want " + kind(typed.DstType.String())
	}
	if overflow := new(yaml.OverflowError); errors.As(err, &overflow) {
		message = "the number does not fit"
	}
	return fmt.Errorf("%s: %s: %s", s.position(e.GetToken()), field, message)
}

func kind(goType string) string {
	switch strings.TrimLeft(goType, "*[]") {
	case "float64":
		return "a number"
	case "int":
		return "a whole number"
	case "string":
		if strings.HasPrefix(goType, "[]") {
			return "a list of texts"
		}
		return "a text"
	}
	if strings.HasPrefix(goType, "[]") {
		return "a list"
	}
	return "fields of its own"
}

// field is the path of the innermost field a token is in, such as resources[0].rate.
func (s *source) field(at *token.Token) string {
	found := finder{at: at.Position}
	if s.file == nil { // it is not even yaml
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

// Visit notes the path of a node that begins at the token.
func (f *finder) Visit(node ast.Node) ast.Visitor {
	if t := node.GetToken(); t != nil && t.Position != nil && t.Position.Line == f.at.Line && t.Position.Column == f.at.Column {
		if p := node.GetPath(); len(p) > len(f.path) {
			f.path = p
		}
	}
	return f
}
