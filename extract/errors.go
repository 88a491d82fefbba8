package extract

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/secret"
)

// ServiceError is an unsuccessful answer of the service.
type ServiceError struct {
	Status    int    // HTTP status
	Code      string // the service's code, such as NotFoundIteration; empty if it gave none
	Message   string // its message, or else the beginning of the body
	RequestID string // apim-request-id, for a support request; may be empty
}

func (e *ServiceError) Error() string {
	text := e.answer()
	if e.RequestID != "" {
		text += fmt.Sprintf(" (request %s)", e.RequestID)
	}
	if hint := e.hint(); hint != "" {
		text += "; " + hint
	}
	return text
}

// answer is what the service answered, without what differs from one time to the next.
func (e *ServiceError) answer() string {
	code := e.Code
	if code == strconv.Itoa(e.Status) { // as gateways say
		code = ""
	}
	text := fmt.Sprintf("the service answered %d %s", e.Status, cmp.Or(code, http.StatusText(e.Status)))
	if e.Message != "" {
		text += ": " + strings.TrimRight(e.Message, ".")
	}
	return text
}

// AuthRefused reports whether the key, or the machine that sent it, was refused; an
// exhausted quota does not count.
func (e *ServiceError) AuthRefused() bool {
	return (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) && !e.quota()
}

// firewall reports whether the resource's network rules refused the machine. Their code is
// the status, as a wrong key's is.
func (e *ServiceError) firewall() bool {
	return e.Status == http.StatusForbidden && (strings.Contains(e.Message, "Firewall") || strings.Contains(e.Message, "Virtual Network"))
}

func (e *ServiceError) quota() bool {
	return strings.Contains(e.Code, "Quota") || strings.Contains(strings.ToLower(e.Message), "quota")
}

// hint says what the user can do, if anything.
func (e *ServiceError) hint() string {
	switch {
	case e.Code == "BadRequestIterationIsNotTrained":
		return "wait until its training has ended, or choose another iteration"
	case e.Code == "NotFoundIteration", e.Code == "NotFoundIterationPerformance":
		return "check --iteration: the project keeps 20 iterations, and someone may have deleted it"
	case e.Code == "NotFoundProject":
		return "check --project, and that --endpoint is the resource the project is in"
	case e.Code == "NotFoundTag", e.Code == "BadRequestInvalidIds":
		return "check the ids given with --tag, --project and --iteration"
	case e.Code == "ForbiddenDRModeEnabled":
		return "the project is read-only for disaster recovery; try again later"
	case e.quota():
		return "the resource's call quota is used up: wait until it is renewed, or raise its tier"
	case e.firewall():
		return "the resource's firewall refuses this machine's address: allow it, or its virtual network, under the resource's Networking"
	case e.AuthRefused() && e.Code == "":
		return "the refusal has no code of the service's: look for a proxy or firewall in between, then check VISION_TRAINING_KEY or --key-file"
	case e.AuthRefused():
		return "check VISION_TRAINING_KEY or --key-file, and --endpoint: both must be of the training resource, as the Azure portal shows them under Keys and Endpoint; its prediction resource and other regions have other keys"
	case e.Status == http.StatusTooManyRequests:
		return "lower --rate, or find out who else calls the resource"
	case e.Status >= 300 && e.Status < 400:
		return "redirects are not followed, so that the key stays with the endpoint: check --endpoint"
	case e.Status == http.StatusNotFound && e.Code == "":
		return "check --endpoint, which must be of a Custom Vision training resource, and --api-version"
	case e.Status >= 500:
		return "the service is in trouble: try again later"
	}
	return ""
}

func newServiceError(resp *http.Response, body []byte, key string) *ServiceError {
	e := &ServiceError{Status: resp.StatusCode, RequestID: requestID(resp.Header, key)}
	// v1 capitalised its fields, which encoding/json accepts. A gateway answers
	// {"error":{"code","message"}}, HTML or nothing.
	var answer struct {
		Code, Message text
		Error         struct{ Code, Message text }
	}
	if err := json.Unmarshal(body, &answer); err == nil {
		e.Code = clean(string(answer.Code+answer.Error.Code), key)
		e.Message = clean(string(answer.Message+answer.Error.Message), key)
	}
	if e.Code == "" && e.Message == "" {
		e.Message = clean(string(body), key)
	}
	return e
}

// text is a JSON string, or a number as it is written: some gateways have numbers as
// codes.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	} else if b[0] != '{' && b[0] != '[' && string(b) != "null" {
		*t = text(b)
	}
	return nil
}

func requestID(h http.Header, key string) string {
	return clean(cmp.Or(h.Get("apim-request-id"), h.Get("x-ms-request-id"), h.Get("x-request-id")), key)
}

// clean makes foreign text safe for one line of a log: short, printable, and without
// the key and other secrets, in case they are echoed.
func clean(s, key string) string {
	const maxRunes = 300
	return cleanTo(s, key, maxRunes)
}

// cleanTo is clean for another length. Secrets go before anything is cut.
func cleanTo(s, key string, maxRunes int) string {
	const looked = 16 << 10 // bytes
	s = s[:min(len(s), looked)]
	const shortest = 8        // as for package secret
	if len(key) >= shortest { // a shorter one is a word, perhaps
		s = strings.ReplaceAll(s, key, secret.Redacted)
	}
	s = strings.Join(strings.FieldsFunc(secret.Redact(s), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	return secret.Cut(s, maxRunes)
}

// AuthRefused reports whether err says that the service refused the key.
func AuthRefused(err error) bool {
	var e *ServiceError
	return errors.As(err, &e) && e.AuthRefused()
}

// PageError says that a page could not be fetched or decoded.
type PageError struct {
	Project, Iteration schema.ID
	Page               int // from 0
	Skip               int // the first image requested
	Err                error
}

func (e *PageError) Error() string {
	return fmt.Sprintf("project %s, iteration %s, page %d (images from %d): %v", e.Project, e.Iteration, e.Page, e.Skip, e.Err)
}

func (e *PageError) Unwrap() error { return e.Err }

// IncompleteError says that a listing was inconsistent: it did not have every image
// exactly once, most likely because the project changed meanwhile. Reading it again
// may help.
type IncompleteError struct {
	Project, Iteration schema.ID
	Page               int // where it was noticed, from 0; -1 after the last page
	What               string
}

func (e *IncompleteError) Error() string {
	page := ""
	if e.Page >= 0 {
		page = fmt.Sprintf(", page %d", e.Page)
	}
	return fmt.Sprintf("project %s, iteration %s%s: the images do not add up: %s", e.Project, e.Iteration, page, e.What)
}
