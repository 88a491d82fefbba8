package azure

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/internal/cloud"
)

const (
	grantRole    = "grant the identity in use the role Storage Blob Data Contributor on the container, or check the AZURE_STORAGE_ variables"
	wrongKey     = "the key or token is wrong or has expired: check the AZURE_STORAGE_ variables, and this machine's clock"
	wrongNetwork = "the account's firewall refuses this machine's address (allow it, or its virtual network, under the account's Networking), or the credentials lack a right: check the AZURE_STORAGE_ variables"
	narrowSAS    = "the SAS token is for something else: it needs the service blob, the resource types container and object, and the permissions read, create, write and list"
)

// refusals say what to do about a 401 or 403, by the service's code:
// https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes and
// https://learn.microsoft.com/rest/api/storageservices/sas-error-codes.
var refusals = map[string]string{
	"AuthenticationFailed":               wrongKey,
	"InvalidAuthenticationInfo":          wrongKey,
	"AuthorizationFailure":               wrongNetwork,
	"AuthorizationSourceIPMismatch":      "the SAS token does not allow this machine's address",
	"AuthorizationServiceMismatch":       narrowSAS,
	"AuthorizationResourceTypeMismatch":  narrowSAS,
	"AuthorizationPermissionMismatch":    grantRole,
	"KeyBasedAuthenticationNotPermitted": "the account does not allow keys: log in with an identity, or allow them",
	"PublicAccessNotPermitted":           "no credentials were sent: check the AZURE_STORAGE_ variables",
	"NoAuthenticationInformation":        "no credentials were sent: check the AZURE_STORAGE_ variables",
	"AccountIsDisabled":                  "the storage account is disabled: ask its owner",
}

func (a *folder) failed(doing, key string, err error) error {
	hint := ""
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		err = answerError{answer}
		switch answer.StatusCode {
		case http.StatusNotFound:
			if doing == "writing" || doing == "listing" || answer.ErrorCode == string(bloberror.ContainerNotFound) {
				err, hint = fmt.Errorf("%w: %w", store.ErrNoBucket, err), "make the container, or check the warehouse's address"
			} else {
				err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
			}
		case http.StatusUnauthorized, http.StatusForbidden:
			hint = refusals[answer.ErrorCode]
			if answer.ErrorCode == "" {
				hint = cloud.Between
			} else if hint == "" {
				hint = grantRole
			}
		}
	}
	return a.Place.Failed(doing, key, err, hint)
}

// answerError is an error of the service in one line. The SDK's text is the whole
// answer, which may quote what signed the request.
type answerError struct{ answer *azcore.ResponseError }

func (e answerError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the service answered %d %s", e.answer.StatusCode, e.answer.ErrorCode))
}

func (e answerError) Unwrap() error { return e.answer }
