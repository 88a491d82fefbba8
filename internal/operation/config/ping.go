package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/cvexport/cvexport/internal/operation/ping"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/secret"
)

const (
	pingVariable = "CVEXPORT_PING"
	maxPing      = 4096 // bytes of a file with an address
)

// Monitor returns the address of the monitor that is to be told of a run, or nil if there
// is none. Of a nightly run, the environment and the configuration may say it too: a single
// export by hand must not tell the monitor of the nights that all is well. The
// configuration need not be valid otherwise; a night that fails because it is not is told of.
func (f *Flags) Monitor(nightly bool) (*url.URL, error) {
	switch {
	case f.Ping != "" && f.PingFile != "":
		return nil, errors.New("--ping and --ping-file cannot be used together")
	case f.Ping != "":
		return parsePing([]byte(f.Ping), "--ping")
	case f.PingFile != "":
		return key{File: f.PingFile}.readPing("--ping-file")
	case !nightly:
		return nil, nil
	case os.Getenv(pingVariable) != "":
		return key{Env: pingVariable}.readPing("")
	case f.File == "":
		return nil, nil
	}
	var err error
	if f.body, err = readBody(f.File); err != nil {
		return nil, nil // which the run fails with
	}
	if k := pingOf(f.body); k.Env != "" || k.File != "" {
		k.File = resolvePath(f.File, k.File)
		return k.readPing(f.File + ": ping")
	}
	return nil, nil
}

// pingOf returns what a configuration says of the monitor, as far as it can be understood.
func pingOf(body []byte) key {
	var only struct {
		Ping key `yaml:"ping"`
	}
	defer func() { _ = recover() }() // see parse
	k := &only.Ping
	if checkNesting(body) != nil || yaml.Unmarshal(body, &only) != nil || k.Env != "" && (k.File != "" || !variable.MatchString(k.Env)) {
		return key{}
	}
	return *k
}

// readPing gets an address from a file or from the environment. from is who names it.
func (k key) readPing(from string) (*url.URL, error) {
	if k.File == "" {
		return parsePing([]byte(os.Getenv(k.Env)), k.Env)
	}
	if strings.Contains(k.File, "://") {
		secret.AddURL(k.File)
		return nil, fmt.Errorf("%s: it is an address, and has to be the file that the address is in", from)
	}
	body, err := regular.ReadGiven(k.File, maxPing)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the monitor's address: %w", from, err)
	}
	return parsePing(body, k.File)
}

func parsePing(raw []byte, from string) (*url.URL, error) {
	text, err := secret.Text(raw, pingVariable)
	if err == nil && text == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("the monitor's address in %s cannot be used: %w", from, err)
	}
	to, err := ping.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the monitor's address in %s cannot be used: %w", from, err)
	}
	return to, nil
}
