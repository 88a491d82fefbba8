package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/cvexport/cvexport/internal/redact"
)

// azblobStore is a folder of an Azure Blob Storage container.
type azblobStore struct {
	client *container.Client
	folder folder
	url    string // of the container, without a token
}

var _ Store = (*azblobStore)(nil)

// azblobMost is how large a blob may be that is put at once; see s3Most.
const azblobMost = 5000 << 20

// newAzblob opens azblob://container/folder of the account that the environment
// names, or azblob://account.blob.core.windows.net/container/folder.
func newAzblob(rest string, options policy.ClientOptions) (*azblobStore, error) {
	host, rest, _ := strings.Cut(rest, "/")
	name, root := host, rest
	if strings.Contains(host, ".") {
		name, root, _ = strings.Cut(rest, "/")
	} else {
		host = ""
	}
	address := "azblob://" + path.Join(host, name)
	if name == "" {
		return nil, fmt.Errorf("warehouse %s: want azblob://container/folder or azblob://account.blob.core.windows.net/container/folder", address)
	}
	folder, err := newFolder(address, root)
	if err != nil {
		return nil, err
	}
	client, err := newContainer(host, name, options)
	if err != nil {
		return nil, redact.Queries(fmt.Errorf("warehouse %s: %w", address, err))
	}
	url, _, _ := strings.Cut(client.URL(), "?")
	return &azblobStore{client: client, folder: folder, url: strings.TrimSuffix(url, "/")}, nil
}

// newContainer takes the credentials that there are, in the order in which other
// tools look for them.
func newContainer(host, name string, client policy.ClientOptions) (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: client}
	if connection := os.Getenv("AZURE_STORAGE_CONNECTION_STRING"); connection != "" && host == "" {
		c, err := container.NewClientFromConnectionString(connection, name, options)
		if err != nil {
			// Its own error may show the string.
			return nil, errors.New("AZURE_STORAGE_CONNECTION_STRING is not a connection string")
		}
		return c, nil
	}
	account, _, _ := strings.Cut(host, ".")
	if host == "" {
		if account = os.Getenv("AZURE_STORAGE_ACCOUNT"); account == "" {
			return nil, errors.New("no storage account: set AZURE_STORAGE_ACCOUNT, or give azblob://account.blob.core.windows.net/container/folder")
		}
		host = account + ".blob.core.windows.net"
	}
	url := "https://" + host + "/" + name
	if key := os.Getenv("AZURE_STORAGE_KEY"); key != "" {
		credential, err := container.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, errors.New("AZURE_STORAGE_KEY is not a storage key")
		}
		return container.NewClientWithSharedKeyCredential(url, credential, options)
	}
	if token := strings.TrimPrefix(os.Getenv("AZURE_STORAGE_SAS_TOKEN"), "?"); token != "" {
		return container.NewClientWithNoCredential(url+"?"+token, options)
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("%w; log in with az login, or set AZURE_STORAGE_KEY", err)
	}
	return container.NewClient(url, credential, options)
}

func (a *azblobStore) blob(key string) (*blockblob.Client, error) {
	name, err := a.folder.name(key)
	if err != nil {
		return nil, err
	}
	return a.client.NewBlockBlobClient(name), nil
}

func (a *azblobStore) Stat(ctx context.Context, key string) (Object, error) {
	b, err := a.blob(key)
	if err != nil {
		return Object{}, err
	}
	p, err := b.GetProperties(ctx, nil)
	if err != nil {
		return Object{}, a.failed("looking at", key, err)
	}
	return object(key, p.ContentLength, p.ETag, p.Metadata), nil
}

func object(key string, size *int64, etag *azcore.ETag, metadata map[string]*string) Object {
	obj := Object{Key: key}
	if size != nil {
		obj.Size = *size
	}
	if etag != nil {
		obj.Version = strings.Trim(string(*etag), `"`) // a listing has no quotes
	}
	for name, value := range metadata { // HTTP has changed its case
		if strings.EqualFold(name, sumKey) && value != nil {
			obj.setSum(*value)
		}
	}
	return obj
}

func (a *azblobStore) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	b, err := a.blob(key)
	if err != nil {
		return nil, err
	}
	got, err := b.DownloadStream(ctx, nil)
	if err != nil {
		return nil, a.failed("reading", key, err)
	}
	return got.Body, nil
}

func (a *azblobStore) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := a.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Prefix: to.Ptr(a.folder.prefix(prefix)), Include: container.ListBlobsInclude{Metadata: true},
		})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, a.failed("listing", prefix, err))
				return
			}
			for _, b := range page.Segment.BlobItems {
				if b.Name == nil || b.Properties == nil {
					continue // a name that XML cannot carry is not one of ours
				}
				if !yield(object(a.folder.key(*b.Name), b.Properties.ContentLength, b.Properties.ETag, b.Metadata), nil) {
					return
				}
			}
		}
	}
}

// Put sends the blob in one request, which the server checks by its MD5 before
// anyone sees it. The version is the ETag.
func (a *azblobStore) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	b, err := a.blob(key)
	if err != nil {
		return Object{}, err
	}
	if src.Size() > azblobMost {
		return Object{}, a.failed("writing", key, fmt.Errorf("it has %d bytes, and one request can carry %d", src.Size(), int64(azblobMost)))
	}
	hash, err := hashed(ctx, src)
	if err != nil {
		return Object{}, a.failed("writing", key, err)
	}
	condition := &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	if old != "" {
		condition = &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(`"` + old + `"`))}
	}
	out, err := b.Upload(ctx, streaming.NopCloser(io.NewSectionReader(src, 0, src.Size())), &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(hash),
		HTTPHeaders:             &blob.HTTPHeaders{BlobContentType: to.Ptr(contentType), BlobContentMD5: hash},
		Metadata:                map[string]*string{sumKey: to.Ptr(formatSum(src.CRC32C()))},
		AccessConditions:        &blob.AccessConditions{ModifiedAccessConditions: condition},
	})
	if err == nil {
		return object(key, to.Ptr(src.Size()), out.ETag, map[string]*string{sumKey: to.Ptr(formatSum(src.CRC32C()))}), nil
	}
	if ctx.Err() == nil {
		// Ours may be there all the same: only its acknowledgement was lost, and the
		// retry met the blob.
		if there, statErr := a.Stat(ctx, key); statErr == nil && there.is(src) {
			return there, nil
		}
	}
	return Object{}, a.failed("writing", key, err)
}

// failed names the blob, and says what the user can do where there is something.
func (a *azblobStore) failed(doing, key string, err error) error {
	hint := ""
	var answer *azcore.ResponseError
	switch {
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		hint = "; make the container, or check --warehouse"
	case bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.BlobAlreadyExists), doing == "writing" && bloberror.HasCode(err, bloberror.BlobNotFound):
		err = ErrConflict
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized):
		hint = "; grant the credentials in use the role Storage Blob Data Contributor on the container"
	}
	return redact.Queries(fmt.Errorf("%s %s: %w%s", doing, a.URL(key), err, hint))
}

// URL is the fully qualified form that DuckDB's azure extension reads.
func (a *azblobStore) URL(key string) string {
	_, rest, _ := strings.Cut(a.url, "://")
	return "az://" + path.Join(rest, string(a.folder), key)
}

// Close has nothing to do.
func (a *azblobStore) Close() error { return nil }
