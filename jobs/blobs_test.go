package jobs

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// blobService speaks the part of the protocol of Azure's blobs that the store uses. Unlike
// Azurite, which the store's own tests use, it can be served over memory.
type blobService struct {
	mu    sync.Mutex
	blobs map[string]blobContent
}

type blobContent struct {
	body []byte
	crc  string
}

func (b blobContent) etag() string { return fmt.Sprintf(`"0x%08X"`, crc32.ChecksumIEEE(b.body)) }

func (s *blobService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, name, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/") // without the account
	container, name, _ := strings.Cut(name, "/")
	blob, exists := s.blobs[name]
	fail := func(status int, code string) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
	switch match := r.Header.Get("If-Match"); {
	case container != "bucket":
		fail(http.StatusNotFound, "ContainerNotFound")
	case r.URL.Query().Get("comp") == "list":
		s.list(w, r.URL.Query().Get("prefix"))
	case match != "" && (!exists || match != blob.etag()):
		fail(http.StatusPreconditionFailed, "ConditionNotMet")
	case r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*" && exists:
		fail(http.StatusConflict, "BlobAlreadyExists")
	case r.Method == http.MethodPut:
		s.blobs[name] = blobContent{body, r.Header.Get("X-Ms-Meta-Crc32c")}
		w.Header().Set("ETag", s.blobs[name].etag())
		w.WriteHeader(http.StatusCreated)
	case !exists:
		fail(http.StatusNotFound, "BlobNotFound")
	default:
		if at := r.Header.Get("X-Ms-Range"); at != "" {
			r.Header.Set("Range", at)
		}
		r.Header.Del("If-Match")
		w.Header().Set("ETag", blob.etag())
		w.Header().Set("X-Ms-Meta-Crc32c", blob.crc)
		w.Header().Set("Content-Type", "application/vnd.apache.parquet")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob.body))
	}
}

func (s *blobService) list(w io.Writer, prefix string) {
	type properties struct {
		Length int `xml:"Content-Length"`
		Etag   string
	}
	type metadata struct {
		Crc32c string `xml:"crc32c"`
	}
	type item struct {
		Name       string
		Properties properties
		Metadata   metadata
	}
	var items []item
	for _, name := range slices.Sorted(maps.Keys(s.blobs)) {
		if b := s.blobs[name]; strings.HasPrefix(name, prefix) {
			items = append(items, item{name, properties{len(b.body), b.etag()}, metadata{b.crc}})
		}
	}
	xml.NewEncoder(w).Encode(struct {
		XMLName    xml.Name `xml:"EnumerationResults"`
		Blobs      []item   `xml:"Blobs>Blob"`
		NextMarker string
	}{Blobs: items})
}
