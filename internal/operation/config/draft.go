package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/load/store/open"
)

// Draft is a configuration of one resource that is to be written.
type Draft struct {
	Endpoint  string
	KeyFile   string // where the key is: this file,
	KeyEnv    string // or this variable
	Key       string // what to put into KeyFile, which must not exist; empty if the key is there already
	Warehouse string
	Rate      float64 // requests a second
}

// CheckKey returns an error unless there is a key where the draft says.
func (d *Draft) CheckKey() error {
	if d.KeyFile == "" && !variable.MatchString(d.KeyEnv) {
		return errors.New("it is not the name of an environment variable")
	}
	_, err := d.key().read()
	return err
}

// Resource returns the resource of the draft, for someone to try who waits for the answer.
// Nothing is written.
func (d *Draft) Resource(concurrency int) (*Resource, error) {
	at, err := extract.ParseEndpoint(d.Endpoint)
	if err != nil {
		return nil, err
	}
	const page = 128 // MiB
	return &Resource{Name: at.Host, Endpoint: d.Endpoint, Rate: d.Rate, Concurrency: concurrency, Warehouse: d.Warehouse,
		key: d.key(), flags: Flags{Patience: program.Brief(), MaxPage: page}}, nil
}

func (d *Draft) key() key { return key{Env: d.KeyEnv, File: d.KeyFile, typed: d.Key} }

// Write writes the key's file, if there is a key to write, and the configuration, for
// this user alone and where nothing has these names: the error then wraps fs.ErrExist.
// What it has written, it has read again as a run does. With an error, nothing is there
// that was not there before.
func (d Draft) Write(name string) (err error) {
	if err := d.absolute(); err != nil {
		return err
	}
	text, want, err := d.text()
	if err != nil {
		return err
	}
	if read, err := parse(name, text); err != nil {
		return fmt.Errorf("nothing is written: %w", err)
	} else if !reflect.DeepEqual(read, want) {
		return errors.New("nothing is written: these answers would be read as something else")
	}
	var made []string
	defer func() {
		if err != nil {
			for _, file := range made {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}()
	create := func(file string, content []byte) error {
		err := private.CreateNew(file, content)
		if err == nil {
			made = append(made, file)
		}
		return err
	}
	if d.Key != "" {
		if err := create(d.KeyFile, []byte(d.Key+"\n")); err != nil {
			return err
		}
	}
	if err := create(name, text); err != nil {
		return err
	}
	read, err := read(name)
	if err == nil && !reflect.DeepEqual(read, want) {
		err = fmt.Errorf("%s does not have what was written to it", name)
	}
	return err
}

// absolute makes paths independent of the current folder.
func (d *Draft) absolute() (err error) {
	if d.KeyFile != "" {
		if d.KeyFile, err = filepath.Abs(d.KeyFile); err != nil {
			return err
		}
	}
	if !strings.Contains(d.Warehouse, "://") {
		d.Warehouse, err = filepath.Abs(d.Warehouse)
	}
	return err
}

// text is the file, and what it says.
func (d *Draft) text() ([]byte, *file, error) {
	at, err := extract.ParseEndpoint(d.Endpoint)
	if err != nil {
		return nil, nil, err
	}
	name := unnamed.ReplaceAllString(at.Host, "-")
	if first, _, _ := strings.Cut(at.Host, "."); strings.HasSuffix(at.Host, ".com") && resourceName.MatchString(first) {
		name = first
	}
	const longest = 64
	name = name[:min(len(name), longest)]
	where := "file: " + quoted(d.KeyFile)
	if d.KeyFile == "" {
		where = "env: " + d.KeyEnv
	}
	want := &file{Warehouse: d.Warehouse, Rate: &d.Rate, Resources: []resource{{Name: name, Endpoint: d.Endpoint, Key: key{Env: d.KeyEnv, File: d.KeyFile}}}}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Written by cvexport init. Export with it: cvexport nightly --config THIS_FILE
# Flags override environment variables, which override this file.

# Where the tables are: %s.
warehouse: %s

# Requests a second to each resource. The service allows 10, its free tier 2.
rate: %v

# A monitor, such as healthchecks.io, can be told when a night starts and ends:
# ping: {file: PATH}  # of a file with the monitor's address

# Others may follow, each with a name of its own.
resources:
  - name: %s
    # The resource's address, or a region such as westeurope.
    endpoint: %s
    # Where the training key is, {file: PATH} or {env: NAME}: never the key itself.
    key: {%s}
    # All projects, unless this chooses some by their names:
    # projects: {include: ["shop-*"], exclude: ["*-test"]}
`, open.Forms(), quoted(d.Warehouse), d.Rate, name, quoted(d.Endpoint), where)
	return b.Bytes(), want, nil
}

// unnamed matches what the name of a resource cannot have.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// quoted is text as YAML has it in quotes.
func quoted(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err) // a string
	}
	return strings.TrimSuffix(b.String(), "\n")
}
