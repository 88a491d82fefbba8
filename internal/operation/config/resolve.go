package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/secret"
)

const keyVariable = "VISION_TRAINING_KEY"

// Flags are the values of the command line and, for flags that were not given, of
// the environment.
type Flags struct {
	File     string // the configuration file; may be empty
	Resource string // the name of one resource of the file; may be empty

	Endpoint    string
	KeyFile     string
	Ping        string // the address of a monitor; a secret
	PingFile    string // the file that it is in
	APIVersion  string
	Warehouse   string
	Concurrency int
	Rate        float64
	Patience    program.Patience
	MaxPage     int64 // MiB

	Projects, Include, Exclude []string // choose projects in place of the file's choice

	body []byte // of File, if it was read, which a stream can be once
}

// Config is what a run works on.
type Config struct {
	File      string // the configuration file; may be empty
	Resources []Resource
}

// Resource is one Custom Vision resource.
type Resource struct {
	Name        string // the file's, or else the endpoint's host
	Endpoint    string
	Rate        float64
	Concurrency int
	Warehouse   string
	Projects    jobs.Choice

	key   key
	flags Flags
}

// Resolve merges flags, environment and file: flags override environment variables,
// which override the file. given reports whether a flag is on the command line.
func Resolve(f Flags, given func(flag string) bool) (*Config, error) {
	c := &file{Resources: []resource{{Endpoint: f.Endpoint, Key: key{Env: keyVariable}}}}
	switch {
	case f.File != "":
		var err error
		if f.body == nil {
			f.body, err = readBody(f.File)
		}
		if err == nil {
			c, err = parseAt(f.File, f.body)
		}
		if err != nil {
			return nil, err
		}
	case f.Resource != "":
		return nil, fmt.Errorf("--resource %s names a resource of a configuration file: give the file with --config", f.Resource)
	}
	chosen := slices.Clone(c.Resources)
	if f.Resource != "" {
		chosen = slices.DeleteFunc(chosen, func(r resource) bool { return r.Name != f.Resource })
	}
	several := len(chosen) > 1
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--resource %s: %s has no such resource", f.Resource, f.File)
	}
	for _, name := range []string{"endpoint", "key-file"} {
		if several && given(name) {
			return nil, fmt.Errorf("--%s is for one resource, and %s has %d: choose one with --resource", name, f.File, len(chosen))
		}
	}
	ids, called := []string(nil), []string(nil)
	for _, text := range f.Projects {
		if names.IsID(text) {
			ids = append(ids, text)
		} else if called = append(called, text); text == "" {
			return nil, errors.New("--project is empty: give a name or an id, or leave the flag out")
		}
	}
	flagChoice, err := newChoice(ids, f.Include, f.Exclude)
	flagChoice.Names = called
	if err != nil {
		return nil, err
	}
	flagChoice.Shared = several
	// The environment's endpoint and key are for a file of one resource: they cannot
	// be right for several.
	single := len(c.Resources) == 1
	out := &Config{File: f.File}
	for _, r := range chosen {
		choice, err := newChoice(r.Projects.IDs, r.Projects.Include, r.Projects.Exclude)
		if err != nil {
			return nil, err
		}
		if len(f.Projects)+len(f.Include)+len(f.Exclude) > 0 {
			choice = flagChoice
		}
		if given("endpoint") || single && f.Endpoint != "" {
			r.Endpoint = f.Endpoint
		}
		switch {
		case f.KeyFile != "":
			r.Key = key{File: f.KeyFile}
		case single && strings.TrimSpace(os.Getenv(keyVariable)) != "":
			r.Key = key{Env: keyVariable}
		}
		if at, err := extract.ParseEndpoint(r.Endpoint); r.Name == "" && err == nil {
			r.Name = at.Host
		}
		out.Resources = append(out.Resources, Resource{
			Name: r.Name, Endpoint: r.Endpoint, Projects: choice, key: r.Key, flags: f,
			Rate:        pick(given("rate"), f.Rate, r.Rate, c.Rate),
			Concurrency: int(pick(given("concurrency"), float64(f.Concurrency), r.Concurrency, c.Concurrency)),
			Warehouse:   cmp.Or(f.Warehouse, r.Warehouse, c.Warehouse, program.DefaultWarehouse),
		})
	}
	return out, nil
}

// One returns the only resource, for commands that work on a single one.
func (c *Config) One() (*Resource, error) {
	if len(c.Resources) > 1 {
		return nil, fmt.Errorf("%s has %d resources: choose one with --resource", c.File, len(c.Resources))
	}
	return &c.Resources[0], nil
}

// pick returns the flag if it was given, else the first value that is set, else the
// flag's default.
func pick[T any](given bool, flag T, values ...*T) T {
	for _, v := range values {
		if v != nil && !given {
			return *v
		}
	}
	return flag
}

func newChoice(ids, include, exclude []string) (jobs.Choice, error) {
	choice := jobs.Choice{Include: include, Exclude: exclude}
	for _, text := range ids {
		id, err := schema.ParseID(text)
		if err != nil {
			return choice, fmt.Errorf("--project: %w", err)
		}
		choice.IDs = append(choice.IDs, id)
	}
	if err := choice.Validate(); err != nil {
		return choice, fmt.Errorf("--include or --exclude: %w", err)
	}
	return choice, nil
}

// Client reads the training key and returns a client of the resource. log and named, which
// is told of what the service names, may be nil.
func (r *Resource) Client(userAgent string, log *slog.Logger, named func(schema.ID, string)) (_ *extract.Client, err error) {
	f := r.flags
	defer func() {
		if err != nil && f.File != "" {
			err = fmt.Errorf("resource %s: %w", r.Name, err)
		}
	}()
	switch {
	case r.Concurrency < 1 || r.Concurrency > maxConcurrency:
		return nil, fmt.Errorf("--concurrency %d is not between 1 and %d", r.Concurrency, maxConcurrency)
	case f.MaxPage < 1 || f.MaxPage > 4096:
		return nil, fmt.Errorf("--max-page %d is not between 1 and 4096 MiB", f.MaxPage)
	case !(r.Rate > 0 && r.Rate <= maxRate):
		return nil, fmt.Errorf("--rate %v is not above 0 requests a second, and at most %d", r.Rate, maxRate)
	}
	key, err := r.key.read()
	if err != nil {
		return nil, err
	}
	if log != nil {
		log = log.With("resource", r.Name)
	}
	return extract.NewClient(extract.Options{
		Endpoint: r.Endpoint, Key: key, APIVersion: f.APIVersion, Rate: r.Rate,
		Bounds: f.Patience.Bounds(nil), MaxPage: f.MaxPage << 20, UserAgent: userAgent, Log: log, Named: named,
	})
}

// read gets a key from a file or from the environment. The command line cannot have
// it: every user of the machine can read that.
func (k key) read() (string, error) {
	if k.typed != "" {
		text, err := onlyKey([]byte(k.typed), keyVariable)
		if err != nil {
			err = fmt.Errorf("this key cannot be used: %w", err)
		}
		return text, err
	}
	if k.File == "" {
		text, err := onlyKey([]byte(os.Getenv(k.Env)), k.Env)
		if err == nil && text == "" {
			err = fmt.Errorf("no training key: set %s or give --key-file; the Azure portal shows the key under Keys and Endpoint of the training resource", k.Env)
		} else if err != nil {
			err = fmt.Errorf("the training key in %s cannot be used: %w", k.Env, err)
		}
		return text, err
	}
	body, err := regular.ReadGiven(k.File, maxKey)
	if errors.Is(err, fs.ErrNotExist) && LooksLikeKey(k.File) {
		return "", errors.New("reading the key: what was given as the name of its file looks like a key itself: put the key into a file, and name that")
	}
	if err != nil {
		return "", fmt.Errorf("reading the key: %w; give --key-file, or the configuration, the name of a file that holds the key", err)
	}
	text, err := onlyKey(body, keyVariable)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the key: %s: %w", k.File, err)
	case text == "":
		return "", fmt.Errorf("reading the key: %s is empty: put the training key into it, and nothing else", k.File)
	}
	return text, nil
}

// keyText matches keys of any Azure AI resource, and few names of files.
var keyText = regexp.MustCompile(`^[0-9A-Za-z]{32,}$`)

// LooksLikeKey reports whether what should be the name of a file looks like a key.
func LooksLikeKey(name string) bool { return keyText.MatchString(filepath.Base(name)) }

// onlyKey returns the training key that raw can only mean. What could be anything else
// must not be sent, nor shown.
func onlyKey(raw []byte, variable string) (string, error) {
	text, err := secret.Text(raw, variable, keyVariable)
	switch padding := strings.TrimRight(text, "="); {
	case err != nil:
		return "", err
	case strings.Contains(padding, "=") || padding != text && strings.Contains(padding, "_"): // else it is base64
		return "", fmt.Errorf("it sets a variable that is not %s: leave only the value", variable)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`<>{}$", r) }):
		return "", errors.New("it has spaces or other characters that no key has: leave only the key")
	}
	return text, nil
}
