package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// resource is one Custom Vision resource as flags, environment and file together
// describe it, in this order of weight.
type resource struct {
	name        string
	endpoint    string
	key         func() (string, error)
	rate        float64
	concurrency int
	warehouse   string
	choice      jobs.Choice
}

// label is what logs call it.
func (r resource) label() string {
	if at, err := extract.ParseEndpoint(r.endpoint); r.name == "" && err == nil {
		return at.Host
	}
	return r.name
}

// resources are those of the configuration file, or the one of the flags and the
// environment.
func (c *common) resources(cmd *cobra.Command) ([]resource, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.config == "" {
		if c.resource != "" {
			return nil, usage("--resource %s: there is no --config that could have it", c.resource)
		}
		r := resource{endpoint: c.endpoint, key: c.key, rate: c.rate, concurrency: c.concurrency, warehouse: c.warehouse}
		if r.warehouse == "" {
			r.warehouse = defaultWarehouse
		}
		return []resource{r}, nil
	}
	file, err := config.Read(c.config)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return c.fromFile(cmd, file)
}

func (c *common) fromFile(cmd *cobra.Command, file *config.File) ([]resource, error) {
	var chosen []config.Resource
	for _, r := range file.Resources {
		if c.resource == "" || r.Name == c.resource {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, usage("--resource %s: %s has no such resource", c.resource, c.config)
	}
	flags := cmd.Flags()
	alone := len(chosen) == 1
	for _, name := range []string{"endpoint", "key-file"} {
		if flags.Changed(name) && !alone {
			return nil, usage("--%s is for one resource, and %s has %d: choose one with --resource", name, c.config, len(chosen))
		}
	}
	var out []resource
	for _, r := range chosen {
		out = append(out, resource{
			name: r.Name, endpoint: r.Endpoint, key: keyOf(r.Key),
			rate:        pick(flags.Changed("rate"), c.rate, r.Rate, file.Rate),
			concurrency: int(pick(flags.Changed("concurrency"), config.Count(c.concurrency), r.Concurrency, file.Concurrency)),
			warehouse:   firstText(c.warehouse, r.Warehouse, file.Warehouse, defaultWarehouse),
			choice:      choiceOf(r.Projects),
		})
	}
	// The environment's endpoint and key are for a file of one resource: of several
	// they could only be right for one.
	single := len(file.Resources) == 1
	if one := &out[0]; alone {
		if flags.Changed("endpoint") || (single && c.endpoint != "") {
			one.endpoint = c.endpoint
		}
		if c.keyFile != "" || (single && os.Getenv("VISION_TRAINING_KEY") != "") {
			one.key = c.key
		}
	}
	return out, nil
}

// one is the resource of a command that works on a single one.
func (c *common) one(cmd *cobra.Command) (resource, error) {
	all, err := c.resources(cmd)
	if err != nil {
		return resource{}, err
	}
	if len(all) > 1 {
		return resource{}, usage("%s has %d resources: choose one with --resource", c.config, len(all))
	}
	return all[0], nil
}

// pick is the flag if it was given, else the first value that is set, else the
// flag's default.
func pick[T any](changed bool, flag T, values ...*T) T {
	for _, v := range values {
		if v != nil && !changed {
			return *v
		}
	}
	return flag
}

func firstText(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func choiceOf(p config.Projects) jobs.Choice {
	choice := jobs.Choice{Include: p.Include, Exclude: p.Exclude}
	for _, text := range p.IDs {
		if id, err := schema.ParseID(text); err == nil { // the configuration has checked them
			choice.IDs = append(choice.IDs, id)
		}
	}
	return choice
}

// keyOf says how to get a key that the configuration names.
func keyOf(k config.Key) func() (string, error) {
	if k.File != "" {
		return func() (string, error) { return readKey(k.File) }
	}
	return func() (string, error) {
		if key := strings.TrimSpace(os.Getenv(k.Env)); key != "" {
			return key, nil
		}
		return "", fmt.Errorf("reading the key: the environment has no %s", k.Env)
	}
}

// key comes from a file or the environment, never from the command line, which
// every user of the machine can read.
func (c *common) key() (string, error) {
	if c.keyFile == "" {
		return strings.TrimSpace(os.Getenv("VISION_TRAINING_KEY")), nil
	}
	return readKey(c.keyFile)
}

func readKey(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	defer f.Close()
	const most = 4096
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	if key := strings.TrimSpace(string(b)); key != "" {
		return key, nil
	}
	return "", fmt.Errorf("reading the key: %s is empty", name)
}

// client makes the client of a resource.
func (c *common) client(r resource, log *slog.Logger) (*extract.Client, error) {
	client, err := c.newClient(r, log)
	if err != nil && r.name != "" {
		err = fmt.Errorf("resource %s: %w", r.name, err)
	}
	if err != nil {
		return nil, &usageError{err: err}
	}
	return client, nil
}

func (c *common) newClient(r resource, log *slog.Logger) (*extract.Client, error) {
	switch {
	case r.concurrency < 1 || r.concurrency > 64:
		return nil, fmt.Errorf("--concurrency %d is not between 1 and 64", r.concurrency)
	case c.retries < 0 || c.retries > 100:
		return nil, fmt.Errorf("--retries %d is not between 0 and 100", c.retries)
	case c.timeout <= 0 || c.longestWait <= 0:
		return nil, fmt.Errorf("--request-timeout %s and --longest-wait %s must be above 0", c.timeout, c.longestWait)
	case c.maxPage < 1 || c.maxPage > 4096:
		return nil, fmt.Errorf("--max-page %d is not between 1 and 4096 MiB", c.maxPage)
	case !(r.rate > 0):
		return nil, fmt.Errorf("--rate %v is not above 0 requests a second", r.rate)
	}
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	if log != nil {
		log = log.With("resource", r.label())
	}
	opts := extract.Options{
		Endpoint: r.endpoint, Key: key, APIVersion: c.apiVersion, Rate: r.rate, Retries: c.retries,
		Timeout: c.timeout, LongestWait: c.longestWait, MaxPage: c.maxPage << 20,
		UserAgent: "cvexport/" + programVersion(), Log: log,
	}
	if c.retries == 0 {
		opts.Retries = -1
	}
	return extract.NewClient(opts)
}

// stores opens each warehouse once.
type stores map[string]store.Store

func (s stores) open(cmd *cobra.Command, warehouse string) (store.Store, error) {
	if opened, ok := s[warehouse]; ok {
		return opened, nil
	}
	opened, err := open.Open(cmd.Context(), warehouse)
	if errors.Is(err, store.ErrLogin) { // which may be better in a minute
		return nil, err
	}
	if err != nil {
		return nil, &usageError{err: err}
	}
	s[warehouse] = opened
	return opened, nil
}

// close joins failures to close to what happened before.
func (s stores) close(err *error) {
	for _, store := range s {
		*err = errors.Join(*err, store.Close())
	}
}
