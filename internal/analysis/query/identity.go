package query

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// identity names a remote warehouse in one line without secrets: its address, and the
// server or account where the address does not tell.
func identity(address string) (string, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	rest = strings.TrimRight(rest, "/")
	server := ""
	switch scheme {
	case "gs":
		server = os.Getenv("STORAGE_EMULATOR_HOST")
	case "s3":
		server = os.Getenv("AWS_ENDPOINT_URL_S3")
		if server == "" {
			server = os.Getenv("AWS_ENDPOINT_URL")
		}
	case "azblob", "az":
		scheme = "azblob"
		if strings.Contains(rest, "?") {
			return "", errors.New("warehouse azblob://: the address must not have a query; a SAS token belongs in AZURE_STORAGE_SAS_TOKEN")
		}
		if container, _, _ := strings.Cut(rest, "/"); !strings.Contains(container, ".") {
			server = azureAccount()
		}
	default:
		return "", fmt.Errorf("warehouse %s://: unknown kind of URL: use a folder, file://, gs://, s3:// or azblob://", scheme)
	}
	name := scheme + "://" + rest
	if server != "" {
		name += " at " + server
	}
	if strings.ContainsAny(name, "\r\n") {
		return "", fmt.Errorf("warehouse %q: the address has more than one line", address)
	}
	return name, nil
}

// azureAccount returns the storage account that the environment names.
func azureAccount() string {
	for part := range strings.SplitSeq(os.Getenv("AZURE_STORAGE_CONNECTION_STRING"), ";") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "AccountName="); ok {
			return name
		}
	}
	return os.Getenv("AZURE_STORAGE_ACCOUNT")
}

// cacheFolder returns the folder in base for the copy of the warehouse of that name.
func cacheFolder(base, name string) (string, error) {
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no folder for the copy of the warehouse (%w): give --cache", err)
		}
		base = filepath.Join(user, "cvexport")
	}
	const maxLength = 60
	legible := strings.Trim(unsafeInName.ReplaceAllString(name, "-"), "-.")
	hash := sha256.Sum256([]byte(name))
	return filepath.Abs(filepath.Join(base, legible[:min(len(legible), maxLength)]+"-"+hex.EncodeToString(hash[:5])))
}

var unsafeInName = regexp.MustCompile(`[^a-zA-Z0-9._]+`)
