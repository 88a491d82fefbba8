// Package open opens warehouses of every kind. It is the one place that knows all
// stores.
package open

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure"
	"github.com/cvexport/cvexport/load/store/gcs"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/s3"
)

var kinds = []store.Kind{local.Kind, gcs.Kind, s3.Kind, azure.Kind}

// Forms says what addresses look like: a folder, or a URL of one of the stores.
func Forms() string {
	var forms []string
	for _, kind := range kinds {
		forms = append(forms, kind.Form)
	}
	return choice(forms)
}

// Open opens the warehouse at an address, with the machine's own credentials. A folder
// is made when the first object is put into it.
func Open(ctx context.Context, address string) (store.Store, error) {
	kind, at, err := find(address)
	if err != nil {
		return nil, err
	}
	return kind.Open(ctx, at)
}

// CheckAddress returns the address in its full form, or the error that [Open] would return. It
// looks at the address alone, without credentials and network.
func CheckAddress(address string) (string, error) {
	kind, at, err := find(address)
	if err != nil {
		return "", err
	}
	return kind.URL(at)
}

// Identity names a remote warehouse in one line without secrets: its address, and whose
// it is if the address does not say. It is empty for a folder of this machine.
func Identity(address string) (string, error) {
	kind, at, err := find(address)
	if err != nil || kind.Identity == nil {
		return "", err
	}
	return kind.Identity(at)
}

// DuckDB returns the SQL statements that let DuckDB read a warehouse.
func DuckDB(address string) ([]string, error) {
	kind, _, err := find(address)
	return kind.DuckDB, err
}

func find(address string) (store.Kind, store.Address, error) {
	if address == "" {
		return store.Kind{}, store.Address{}, errors.New("no warehouse: give " + Forms())
	}
	if err := CheckText(address); err != nil {
		return store.Kind{}, store.Address{}, fmt.Errorf("warehouse: %w", err)
	}
	at := store.ParseAddress(address)
	if err := checkPartitions(at); err != nil {
		return store.Kind{}, store.Address{}, err
	}
	var schemes []string
	for _, kind := range kinds {
		if slices.Contains(kind.Schemes, at.Scheme) {
			return kind, at, nil
		}
		for _, scheme := range kind.Schemes {
			if scheme == "" {
				schemes = append(schemes, kind.Form)
			} else {
				schemes = append(schemes, scheme+"://")
			}
		}
	}
	return store.Kind{}, store.Address{}, fmt.Errorf("warehouse %s://: unknown kind of URL: use %s", at.Scheme, choice(schemes))
}

func choice(of []string) string {
	last := len(of) - 1
	return strings.Join(of[:last], ", ") + " or " + of[last]
}
