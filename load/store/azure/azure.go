// Package azure keeps a warehouse in a container of Azure Blob Storage.
package azure

import (
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
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
	"github.com/cvexport/cvexport/patience"
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

// folder is a folder of a container, each of whose operations tries once.
type folder struct {
	cloud.Place
	client *container.Client
}

var _ cloud.Tries = (*folder)(nil)

const maxBytes = 5000 << 20 // of one Put Blob

// New opens the warehouse at an address; its account may come from the environment.
// Tests change the client's options.
func New(ctx context.Context, at store.Address, options azcore.ClientOptions) (store.Store, error) {
	l, err := parse(at)
	if err != nil {
		return nil, err
	}
	place, err := l.place()
	if err != nil {
		return nil, err
	}
	wait := patience.New(patience.From(ctx))
	options.Transport = azurelogin.Transport(wait, options.Transport)
	var named serverName
	options.PerCallPolicies = append(slices.Clone(options.PerCallPolicies), &named)
	account, host, err := newClient(ctx, l.host, options, wait)
	if err != nil {
		return nil, fmt.Errorf("warehouse %s: %w", strings.Replace(place.URL(""), "az://", "azblob://", 1), err)
	}
	l.host = host
	if place, err = l.place(); err != nil {
		return nil, err
	}
	named.Place = place
	return cloud.Patient(place, &folder{Place: place, client: account.NewContainerClient(l.container)}, wait), nil
}

// Stat describes an object.
func (a *folder) Stat(ctx context.Context, key string) (store.Object, error) {
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

// OpenFrom reads an object from an offset on.
func (a *folder) OpenFrom(ctx context.Context, key string, offset int64, version string) (io.ReadCloser, store.Object, error) {
	name, err := a.Name(key)
	if err != nil {
		return nil, store.Object{}, err
	}
	var options *blob.DownloadStreamOptions
	if offset > 0 {
		options = &blob.DownloadStreamOptions{
			Range:            blob.HTTPRange{Offset: offset},
			AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(cloud.ETagOf(version)))}},
		}
	}
	download, err := a.client.NewBlobClient(name).DownloadStream(ctx, options)
	if err != nil {
		return nil, store.Object{}, a.failed("reading", key, err)
	}
	obj := objectOf(key, to.Ptr(int64(-1)), download.ETag, nil)
	if download.ContentLength != nil {
		obj.Size = *download.ContentLength
	}
	if offset > 0 {
		served := ""
		if download.ContentRange != nil {
			served = *download.ContentRange
		}
		if err := cloud.CheckRange(download.Body, offset, served); err != nil {
			return nil, store.Object{}, a.failed("reading", key, err)
		}
	}
	return download.Body, obj, nil
}

// Page returns objects with their checksums.
func (a *folder) Page(ctx context.Context, prefix, from string) (objects []store.Object, next string, err error) {
	options := &container.ListBlobsFlatOptions{Prefix: to.Ptr(a.Prefix(prefix)), Include: container.ListBlobsInclude{Metadata: true}}
	if from != "" {
		options.Marker = &from
	}
	page, err := a.client.NewListBlobsFlatPager(options).NextPage(ctx)
	if err != nil {
		return nil, "", a.failed("listing", prefix, err)
	}
	for _, item := range page.Segment.BlobItems {
		if metadataOf(item.Metadata, "hdi_isfolder") == "true" {
			continue // an account with a hierarchical namespace lists folders too
		}
		objects = append(objects, objectOf(a.Key(*item.Name), item.Properties.ContentLength, item.Properties.ETag, item.Metadata))
	}
	if page.NextMarker != nil {
		next = *page.NextMarker
	}
	return objects, next, nil
}

// Put uploads in one request, under a precondition on the ETag and with the MD5,
// which the service compares before anybody sees the object.
func (a *folder) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
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

// Service is what a probe needs to know.
func (a *folder) Service() cloud.Service {
	host, _, _ := strings.Cut(a.client.URL(), "?")
	return cloud.Service{
		Endpoint: host,
		Stale:    "0x8D0000000000000",
		Instead:  "use Azure Blob Storage itself, or another kind of warehouse",
	}
}

// body is a source that is being uploaded.
type body struct{ *io.SectionReader }

func newBody(src store.Source) body { return body{io.NewSectionReader(src, 0, src.Size())} }

func (body) Close() error { return nil }

// newClient opens the storage account at host, or the one that the environment names if
// that is empty, and returns its host.
func newClient(ctx context.Context, host string, options azcore.ClientOptions, wait *patience.Patience) (client *service.Client, _ string, err error) {
	var a *azurelogin.Account
	err = wait.Do(ctx, func(ctx context.Context) (err error) {
		if a, err = azurelogin.Open(ctx, host, "blob", "azblob://ACCOUNT.blob.core.windows.net/container", options); err == nil {
			err = a.Outage // better known now than after the export
		}
		return err
	})
	if errors.Is(err, azurelogin.ErrLogin) {
		err = fmt.Errorf("%w: %w", store.ErrLogin, err)
	}
	if err != nil {
		return nil, "", err
	}
	options.Retry = policy.RetryOptions{MaxRetries: -1} // patience retries
	options.PerRetryPolicies = append(options.PerRetryPolicies, hideQuery{})
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

// Close does nothing.
func (a *folder) Close() error { return nil }
