// Package extract reads from Azure Custom Vision. [Client] has the read operations of
// the Training API. [Read] fetches every image of an iteration, in order, and fails
// unless it has each exactly once.
package extract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"golang.org/x/time/rate"

	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/secret"
)

// Options configure a client. The zero value of a field means its default.
type Options struct {
	Endpoint   string          // see ParseEndpoint
	Key        string          // the resource's training key
	APIVersion string          // default 3.2
	Rate       float64         // requests per second of all workers together; default 8, the service's limit is 10
	Bounds     patience.Bounds // of each request; its Retries also bound how often a page that cannot be decoded is fetched
	MaxPage    int64           // bytes of an uncompressed page; default 128 MiB
	UserAgent  string          // such as cvexport/1.0.0
	Log        *slog.Logger    // of each request, and of what the service's answers lack; may be nil

	Named func(id schema.ID, name string) // told of each project and iteration that the service names; may be nil
}

var apiVersion = regexp.MustCompile(`^3\.[2-4](-preview)?$`)

func (o *Options) setDefaults() {
	o.APIVersion = strings.TrimPrefix(cmp.Or(o.APIVersion, "3.2"), "v")
	o.Rate = cmp.Or(o.Rate, 8)
	// 256 images with the service's maximum of 200 predictions and 300 regions each are
	// about 32 MiB.
	o.MaxPage = cmp.Or(o.MaxPage, 128<<20)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Named == nil {
		o.Named = func(schema.ID, string) {}
	}
}

func (o *Options) validate() error {
	switch {
	case o.Key == "":
		return errors.New("no training key: set VISION_TRAINING_KEY or give --key-file")
	case strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the training key has characters that no key has: check VISION_TRAINING_KEY or --key-file")
	case !apiVersion.MatchString(o.APIVersion):
		return fmt.Errorf("api version %q is not one of 3.2, 3.3, 3.4-preview", o.APIVersion)
	case !(o.Rate > 0):
		return fmt.Errorf("rate %v is not above 0 requests a second", o.Rate)
	}
	return nil
}

// Client reads from one Custom Vision resource. It is safe for concurrent use; all
// users share its rate limit.
type Client struct {
	base     *url.URL // of the training API, without a trailing slash
	version  string
	key      string
	pipeline runtime.Pipeline
	throttle *throttle
	patience *patience.Patience
	pages    buffers
	calls    atomic.Int64
	domains  *domains
	log      *slog.Logger
	named    func(schema.ID, string)

	pageTries int // at most, of a page that cannot be decoded

	toldMu sync.Mutex
	told   map[told]bool // see tellUnread
}

// NewClient checks the options and makes a client; it does not call the service.
func NewClient(opts Options) (*Client, error) {
	opts.setDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	endpoint, err := ParseEndpoint(opts.Endpoint)
	if err != nil {
		return nil, err
	}
	secret.Add(opts.Key)
	limit := &throttle{limiter: rate.NewLimiter(rate.Limit(opts.Rate), 1), allowed: rate.Limit(opts.Rate), longest: cmp.Or(opts.Bounds.GiveUp, patience.DefaultGiveUp)}
	key := runtime.NewKeyCredentialPolicy(azcore.NewKeyCredential(opts.Key), "Training-key",
		// ParseEndpoint accepts http on loopback only.
		&runtime.KeyCredentialPolicyOptions{InsecureAllowCredentialWithHTTP: endpoint.Scheme == "http"})
	pages, wait := make(buffers, maxIdle), patience.New(opts.Bounds)
	pipeline := runtime.NewPipeline("cvexport", "", runtime.PipelineOptions{
		PerRetry: []policy.Policy{limit, requestLog{opts.Log, opts.Key}, key},
	}, &policy.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: -1}, // patience retries
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Transport: newTransport(opts.UserAgent, opts.MaxPage, pages, wait),
	})
	pageTries := maxPageTries
	if r := opts.Bounds.Retries; r != 0 {
		pageTries = min(pageTries, 1+max(r, 0))
	}
	return &Client{
		base:     endpoint.JoinPath("customvision", "v"+opts.APIVersion, "training"),
		version:  opts.APIVersion,
		key:      opts.Key,
		pipeline: pipeline,
		throttle: limit,
		pages:    pages,
		domains:  newDomains(),
		log:      opts.Log,
		named:    opts.Named,

		patience:  wait,
		pageTries: pageTries,
	}, nil
}

// Host returns the service's host name, with its port if it has one.
func (c *Client) Host() string { return c.base.Host }

// APIVersion returns the version of the API, such as 3.2.
func (c *Client) APIVersion() string { return c.version }

// Stats counts the requests of a client.
type Stats struct {
	Requests  int64 // sent, including retries
	Retries   int64
	Throttled int64         // answers of 429
	Waited    time.Duration // because of 429 answers, by all workers
}

// Sub returns the requests since an earlier count.
func (s Stats) Sub(before Stats) Stats {
	s.Requests -= before.Requests
	s.Retries -= before.Retries
	s.Throttled -= before.Throttled
	s.Waited -= before.Waited
	return s
}

// Add returns the sum of two counts.
func (s Stats) Add(more Stats) Stats {
	s.Requests += more.Requests
	s.Retries += more.Retries
	s.Throttled += more.Throttled
	s.Waited += more.Waited
	return s
}

// Stats returns the requests since the client was made.
func (c *Client) Stats() Stats {
	requests := c.throttle.requests.Load()
	return Stats{
		Requests:  requests,
		Retries:   max(0, requests-c.calls.Load()),
		Throttled: c.throttle.throttled.Load(),
		Waited:    time.Duration(c.throttle.waited.Load()),
	}
}

// get returns the body of a successful answer. The pipeline adds rate limit and key.
func (c *Client) get(ctx context.Context, query url.Values, path ...string) (body []byte, err error) {
	u := c.base.JoinPath(path...)
	u.RawQuery = query.Encode()
	ctx = withCall(ctx, query, path)
	c.calls.Add(1)
	err = c.patience.Do(ctx, func(ctx context.Context) (err error) {
		body, err = c.try(ctx, u.String())
		return err
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return body, err
}

func (c *Client) try(ctx context.Context, address string) (body []byte, err error) {
	req, err := runtime.NewRequest(ctx, http.MethodGet, address)
	if err != nil {
		return nil, err
	}
	req.Raw().Header.Set("Accept", "application/json")
	if isPage(req.Raw()) {
		runtime.SkipBodyDownload(req)
	}
	resp, err := c.pipeline.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from %s: %w", c.Host(), err)
	}
	if page, ok := resp.Body.(*pageBody); ok {
		body = page.bytes
	} else if body, err = runtime.Payload(resp); err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	failure := newServiceError(resp, body, c.key)
	if !patience.Passing(resp.StatusCode) {
		return nil, failure
	}
	return nil, &patience.Fault{Err: failure, After: asked(resp)}
}

// regions are those of the API's documentation, as spelled in host names.
var regions = []string{
	"westus2", "eastus", "eastus2", "southcentralus", "westeurope", "northeurope", "southeastasia",
	"australiaeast", "centralindia", "uksouth", "japaneast", "northcentralus", "centraluseuap",
}

var errEndpoint = errors.New("give the resource's address, such as https://NAME.cognitiveservices.azure.com, or a region, such as westeurope")

// ParseEndpoint parses the address of a resource: a URL without a path, or the name
// of a region ("westeurope", "West Europe"). Only loopback addresses may use http,
// so that the key never travels in the clear.
func ParseEndpoint(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, fmt.Errorf("no endpoint: %w", errEndpoint)
	}
	if !strings.Contains(s, "://") && !strings.ContainsAny(s, ".:/") {
		region := strings.ToLower(strings.ReplaceAll(s, " ", ""))
		const maxRegion = 20 // a key that was given by mistake is longer, and must not be repeated
		if len(s) > maxRegion {
			return nil, fmt.Errorf("endpoint is neither a url nor a region of the service: %w", errEndpoint)
		}
		if !slices.Contains(regions, region) {
			return nil, fmt.Errorf("endpoint %q is not a region of the service (%s): %w", s, strings.Join(regions, ", "), errEndpoint)
		}
		return &url.URL{Scheme: "https", Host: region + ".api.cognitive.microsoft.com"}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		// The parser's error repeats the text, which may contain a password.
		return nil, fmt.Errorf("endpoint is not a url: %w", errEndpoint)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("endpoint of host %q has a user name or password: %w", u.Host, errEndpoint)
	case u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fmt.Errorf("endpoint %q is not an https url: %w", u.Redacted(), errEndpoint)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("endpoint of host %q has more than a host: %w", u.Host, errEndpoint)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("endpoint %q is http and not on this machine, so the key would travel in the clear: use https", u.Redacted())
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
