// Package azure keeps a warehouse in a container of Azure Blob Storage.
package azure

import (
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
)

// Kind opens azblob://container/folder, of the account that the environment names, and
// azblob://ACCOUNT.blob.core.windows.net/container/folder.
var Kind = store.Kind{
	Schemes: []string{"azblob", "az"},
	Form:    "azblob://container/folder",
	Open: func(ctx context.Context, at store.Address) (store.Store, error) {
		return New(ctx, at, azcore.ClientOptions{})
	},
	URL: func(at store.Address) (string, error) {
		l, err := parse(at)
		if err != nil {
			return "", err
		}
		place, err := l.place()
		return place.URL(""), err
	},
	Identity: func(at store.Address) (string, error) {
		l, err := parse(at)
		if err != nil {
			return "", err
		}
		account := ""
		if l.host == "" {
			account = azurelogin.EnvironmentName()
		}
		return cloud.Identity(store.Address{Scheme: "azblob", Rest: at.Rest}, account)
	},
	DuckDB: []string{
		"INSTALL azure", "LOAD azure",
		"-- With ACCOUNT_NAME '...' if the address below names no account.\nCREATE OR REPLACE SECRET cvexport (TYPE azure, PROVIDER credential_chain)",
	},
}

// location is what an address means.
type location struct {
	host      string // of the storage account, if the address names one
	container string
	root      string
}

// parse reads container/folder or ACCOUNT.blob.core.windows.net/container/folder: only
// a host has a dot.
func parse(at store.Address) (location, error) {
	text, _, query := strings.Cut(at.Rest, "?")
	if query {
		return location{}, fmt.Errorf("warehouse azblob://%s: the address has a query; leave it out, and put a SAS token into AZURE_STORAGE_SAS_TOKEN", text)
	}
	host, rest := "", text
	if first, behind, _ := strings.Cut(text, "/"); strings.Contains(first, ".") {
		host, rest = first, behind
	}
	name, root, _ := strings.Cut(rest, "/")
	if name == "" || host != "" && !strings.Contains(host, ".blob.") {
		return location{}, fmt.Errorf("warehouse azblob://%s: want azblob://container/folder or azblob://ACCOUNT.blob.core.windows.net/container/folder", text)
	}
	return location{host: host, container: name, root: root}, nil
}

// place has a URL as DuckDB writes it, which begins with az://.
func (l location) place() (cloud.Place, error) {
	base := "az://" + l.container
	if strings.Contains(l.host, ".blob.") { // DuckDB knows any other host from its secret
		base = "az://" + l.host + "/" + l.container
	}
	return cloud.NewPlace(base, l.root)
}

// Store is a folder of a container.
type Store struct {
	cloud.Place
	client *container.Client
}

var _ store.Store = (*Store)(nil)

const maxBytes = 5000 << 20 // of one Put Blob

// New opens the warehouse at an address; its account may come from the environment.
// Tests change the client's options.
func New(ctx context.Context, at store.Address, options azcore.ClientOptions) (*Store, error) {
	l, err := parse(at)
	if err != nil {
		return nil, err
	}
	place, err := l.place()
	if err != nil {
		return nil, err
	}
	var named serverName
	options.PerCallPolicies = append(slices.Clone(options.PerCallPolicies), &named)
	account, host, err := newClient(ctx, l.host, options)
	if err != nil {
		return nil, fmt.Errorf("warehouse %s: %w", strings.Replace(place.URL(""), "az://", "azblob://", 1), err)
	}
	l.host = host
	if place, err = l.place(); err != nil {
		return nil, err
	}
	named.Place = place
	return &Store{Place: place, client: account.NewContainerClient(l.container)}, nil
}

// Stat describes an object.
func (a *Store) Stat(ctx context.Context, key string) (store.Object, error) {
	name, err := a.Name(key)
	if err != nil {
		return store.Object{}, err
	}
	properties, err := a.client.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return store.Object{}, a.failed("looking at", key, err)
	}
	return objectOf(key, properties.ContentLength, properties.ETag, properties.Metadata), nil
}

func objectOf(key string, size *int64, etag *azcore.ETag, metadata map[string]*string) store.Object {
	obj := store.Object{Key: key}
	if size != nil {
		obj.Size = *size
	}
	if etag != nil {
		obj.Version = cloud.VersionOf(string(*etag))
	}
	obj.CRC32C, obj.Summed = cloud.ParseCRC(metadataOf(metadata, cloud.CRCName))
	return obj
}

// metadataOf looks up a name in any case: a header's name comes capitalised.
func metadataOf(metadata map[string]*string, name string) string {
	for have, value := range metadata {
		if value != nil && strings.EqualFold(have, name) {
			return *value
		}
	}
	return ""
}

// Open reads an object.
func (a *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := a.Name(key)
	if err != nil {
		return nil, err
	}
	download, err := a.client.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, a.failed("reading", key, err)
	}
	return download.NewRetryReader(ctx, nil), nil
}

// List yields objects with their checksums.
func (a *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		pages := a.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Prefix:  to.Ptr(a.Prefix(prefix)),
			Include: container.ListBlobsInclude{Metadata: true},
		})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(store.Object{}, a.failed("listing", prefix, err))
				return
			}
			for _, item := range page.Segment.BlobItems {
				if metadataOf(item.Metadata, "hdi_isfolder") == "true" {
					continue // an account with a hierarchical namespace lists folders too
				}
				if !yield(objectOf(a.Key(*item.Name), item.Properties.ContentLength, item.Properties.ETag, item.Metadata), nil) {
					return
				}
			}
		}
	}
}

// Put uploads in one request, under a precondition on the ETag and with the MD5,
// which the service compares before anybody sees the object.
func (a *Store) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	name, err := a.Name(key)
	if err != nil {
		return store.Object{}, err
	}
	if err := cmp.Or(cloud.CheckSize(src, maxBytes), cloud.CheckOthers(ctx, a, others)); err != nil {
		return store.Object{}, a.failed("writing", key, err)
	}
	hash := md5.New()
	if err := store.Copy(ctx, hash, src); err != nil {
		return store.Object{}, a.failed("writing", key, err)
	}
	sum := hash.Sum(nil)
	condition := &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	if old != "" {
		condition = &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(cloud.ETagOf(old)))}
	}
	answer, err := a.client.NewBlockBlobClient(name).Upload(ctx, newBody(src), &blockblob.UploadOptions{
		HTTPHeaders:             &blob.HTTPHeaders{BlobContentType: to.Ptr(cloud.ContentType(key)), BlobContentMD5: sum},
		Metadata:                map[string]*string{cloud.CRCName: to.Ptr(cloud.FormatCRC(src))},
		AccessConditions:        &blob.AccessConditions{ModifiedAccessConditions: condition},
		TransactionalValidation: blob.TransferValidationTypeMD5(sum),
	})
	if err == nil {
		obj := objectOf(key, to.Ptr(src.Size()), answer.ETag, nil)
		obj.CRC32C, obj.Summed = src.CRC32C(), true
		return obj, nil
	}
	precondition := bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) ||
		old != "" && bloberror.HasCode(err, bloberror.BlobNotFound)
	obj, err := cloud.Settle(ctx, a, key, src, old, err, precondition)
	if err != nil {
		return store.Object{}, a.failed("writing", key, err)
	}
	return obj, nil
}

// Probe writes an object, unless it is known that the server keeps preconditions.
func (a *Store) Probe(ctx context.Context) error {
	host, _, _ := strings.Cut(a.client.URL(), "?")
	return a.Place.Probe(ctx, a, cloud.Service{
		Endpoint: host,
		Stale:    "0x8D0000000000000",
		Instead:  "use Azure Blob Storage itself, or another kind of warehouse",
	})
}

// body is a source that is being uploaded.
type body struct{ *io.SectionReader }

func newBody(src store.Source) body { return body{io.NewSectionReader(src, 0, src.Size())} }

func (body) Close() error { return nil }

// newClient opens the storage account at host, or the one that the environment names if
// that is empty, and returns its host.
func newClient(ctx context.Context, host string, options azcore.ClientOptions) (client *service.Client, _ string, err error) {
	a, err := azurelogin.Open(ctx, host, "blob", "azblob://ACCOUNT.blob.core.windows.net/container", options)
	if err == nil {
		err = a.Outage // better known now than after the export
	}
	if errors.Is(err, azurelogin.ErrLogin) {
		err = fmt.Errorf("%w: %w", store.ErrLogin, err)
	}
	if err != nil {
		return nil, "", err
	}
	options.PerRetryPolicies = append(options.PerRetryPolicies, freshBody{}, hideQuery{})
	o := &service.ClientOptions{ClientOptions: options}
	switch {
	case a.Connection != "":
		client, err = service.NewClientFromConnectionString(a.Connection, o)
	case a.Key != "":
		var key *service.SharedKeyCredential
		if key, err = service.NewSharedKeyCredential(a.Name, a.Key); err == nil {
			client, err = service.NewClientWithSharedKeyCredential(a.URL(""), key, o)
		}
	case a.Token != "":
		client, err = service.NewClientWithNoCredential(a.URL(""), o)
	default:
		client, err = service.NewClient(a.URL(""), a.Identity, o)
	}
	address := ""
	if err == nil {
		address = client.URL()
	}
	host, err = a.Check(address, err)
	return client, host, err
}

// serverName notes what the server calls itself.
type serverName struct{ cloud.Place }

func (n *serverName) Do(req *policy.Request) (*http.Response, error) {
	answer, err := req.Next()
	if answer != nil {
		n.Served(answer.Header.Get("Server"))
	}
	return answer, err
}

// hideQuery keeps the query out of the error of a connection: it may have a SAS token.
type hideQuery struct{}

func (hideQuery) Do(req *policy.Request) (*http.Response, error) {
	answer, err := req.Next()
	if failed, ok := errors.AsType[*url.Error](err); ok {
		failed.URL, _, _ = strings.Cut(failed.URL, "?")
	}
	return answer, err
}

// freshBody gives each attempt of an upload its own reader. net/http may still be
// reading the last attempt's while the SDK rewinds it, and would take its bytes.
type freshBody struct{}

func (freshBody) Do(req *policy.Request) (*http.Response, error) {
	if b, ok := req.Body().(body); ok {
		src, from, size := b.Outer()
		req.Raw().Body = io.NopCloser(io.NewSectionReader(src, from, size))
	}
	return req.Next()
}

// Close does nothing.
func (a *Store) Close() error { return nil }
