package load

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// azureStore is a folder of an Azure Blob Storage container.
type azureStore struct {
	place
	client *container.Client
}

var _ Store = (*azureStore)(nil)

const azureLimit = 5000 << 20 // bytes of one Put Blob

// parseAzure reads container/folder or ACCOUNT.blob.core.windows.net/container/folder:
// only a host has a dot.
func parseAzure(text string) (address, error) {
	text, _, query := strings.Cut(text, "?")
	if query {
		return address{}, fmt.Errorf("warehouse azblob://%s: without a query, please: a SAS token belongs in AZURE_STORAGE_SAS_TOKEN", text)
	}
	host, rest := "", text
	if first, behind, _ := strings.Cut(text, "/"); strings.Contains(first, ".") {
		host, rest = first, behind
	}
	name, root, _ := strings.Cut(rest, "/")
	if name == "" || host != "" && !strings.Contains(host, ".blob.") {
		return address{}, fmt.Errorf("warehouse azblob://%s: want azblob://container/folder or azblob://ACCOUNT.blob.core.windows.net/container/folder", text)
	}
	return address{scheme: "azblob", host: host, bucket: name, root: root}, nil
}

// newAzure opens a warehouse; its account may come from the environment.
func newAzure(ctx context.Context, where address, options azcore.ClientOptions) (*azureStore, error) {
	place, err := where.place()
	if err != nil {
		return nil, err
	}
	account, host, err := openAccount(ctx, where.host, options)
	if err != nil {
		return nil, fmt.Errorf("warehouse %s: %w", strings.Replace(place.URL(""), "az://", "azblob://", 1), err)
	}
	where.host = host
	if place, err = where.place(); err != nil {
		return nil, err
	}
	return &azureStore{place: place, client: account.NewContainerClient(where.bucket)}, nil
}

func (a *azureStore) Stat(ctx context.Context, key string) (Object, error) {
	name, err := a.name(key)
	if err != nil {
		return Object{}, err
	}
	properties, err := a.client.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return Object{}, a.failed("looking at", key, err)
	}
	return azureObject(key, properties.ContentLength, properties.ETag, properties.Metadata), nil
}

func azureObject(key string, size *int64, etag *azcore.ETag, metadata map[string]*string) Object {
	obj := Object{Key: key}
	if size != nil {
		obj.Size = *size
	}
	if etag != nil {
		obj.Version = versionOf(string(*etag))
	}
	obj.CRC32C, obj.Summed = parseCRC(metadataOf(metadata, crcName))
	return obj
}

// metadataOf looks a name up in any case: as a header's it comes capitalised.
func metadataOf(metadata map[string]*string, name string) string {
	for have, value := range metadata {
		if value != nil && strings.EqualFold(have, name) {
			return *value
		}
	}
	return ""
}

func (a *azureStore) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := a.name(key)
	if err != nil {
		return nil, err
	}
	download, err := a.client.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, a.failed("reading", key, err)
	}
	return download.NewRetryReader(ctx, nil), nil
}

func (a *azureStore) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := a.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Prefix:  to.Ptr(a.prefix(prefix)),
			Include: container.ListBlobsInclude{Metadata: true},
		})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, a.failed("listing", prefix, err))
				return
			}
			for _, item := range page.Segment.BlobItems {
				if metadataOf(item.Metadata, "hdi_isfolder") == "true" {
					continue // an account with folders lists them too
				}
				if !yield(azureObject(a.key(*item.Name), item.Properties.ContentLength, item.Properties.ETag, item.Metadata), nil) {
					return
				}
			}
		}
	}
}

// Put uploads in one request, under a precondition on the ETag and with the MD5,
// which the service compares before anybody sees the object.
func (a *azureStore) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	name, err := a.name(key)
	if err != nil {
		return Object{}, err
	}
	if err := checkSize(src, azureLimit); err != nil {
		return Object{}, a.failed("writing", key, err)
	}
	hash := md5.New()
	if err := copySource(ctx, hash, src); err != nil {
		return Object{}, a.failed("writing", key, err)
	}
	sum := hash.Sum(nil)
	condition := &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	if old != "" {
		condition = &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etagOf(old)))}
	}
	answer, err := a.client.NewBlockBlobClient(name).Upload(ctx, newAzureBody(src), &blockblob.UploadOptions{
		HTTPHeaders:             &blob.HTTPHeaders{BlobContentType: to.Ptr(parquetType), BlobContentMD5: sum},
		Metadata:                map[string]*string{crcName: to.Ptr(formatCRC(src))},
		AccessConditions:        &blob.AccessConditions{ModifiedAccessConditions: condition},
		TransactionalValidation: blob.TransferValidationTypeMD5(sum),
	})
	if err == nil {
		obj := azureObject(key, to.Ptr(src.Size()), answer.ETag, nil)
		obj.CRC32C, obj.Summed = src.CRC32C(), true
		return obj, nil
	}
	precondition := bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) ||
		old != "" && bloberror.HasCode(err, bloberror.BlobNotFound)
	obj, err := settle(ctx, a, key, src, old, err, precondition)
	if err != nil {
		return Object{}, a.failed("writing", key, err)
	}
	return obj, nil
}

// azureBody is a source on its way.
type azureBody struct{ *io.SectionReader }

func newAzureBody(src Source) azureBody { return azureBody{io.NewSectionReader(src, 0, src.Size())} }

func (azureBody) Close() error { return nil }

// freshBody gives each try of an upload a reader of its own. net/http may still
// read the last one's while the SDK rewinds it, and would take bytes of the next.
type freshBody struct{}

func (freshBody) Do(req *policy.Request) (*http.Response, error) {
	if body, ok := req.Body().(azureBody); ok {
		src, from, size := body.Outer()
		req.Raw().Body = io.NopCloser(io.NewSectionReader(src, from, size))
	}
	return req.Next()
}

func (a *azureStore) failed(doing, key string, err error) error {
	hint := ""
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		err = azureAnswer{answer}
		switch answer.StatusCode {
		case http.StatusNotFound:
			if doing == "writing" || doing == "listing" || answer.ErrorCode == string(bloberror.ContainerNotFound) {
				err, hint = fmt.Errorf("%w: %w", errNoBucket, err), "make the container, or check --warehouse"
			} else {
				err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
			}
		case http.StatusUnauthorized, http.StatusForbidden:
			hint = "grant the identity in use the role Storage Blob Data Contributor on the container, or check the AZURE_STORAGE_ variables"
		}
	}
	return a.place.failed(doing, key, err, hint)
}

// azureAnswer is an error of the service in a line. Its own text is the whole
// answer, which may quote what signed the request.
type azureAnswer struct{ answer *azcore.ResponseError }

func (e azureAnswer) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the service answered %d %s", e.answer.StatusCode, e.answer.ErrorCode))
}

func (e azureAnswer) Unwrap() error { return e.answer }

func (a *azureStore) Close() error { return nil }
