package extract

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/cvexport/cvexport/patience"
)

// unreached says what kept a request from the service, and what the user can do.
func unreached(req *http.Request, err error) error {
	if e, ok := err.(*url.Error); ok {
		err = e.Err // without the address of the request, which helps nobody
	}
	proxy, proxyErr := http.ProxyFromEnvironment(req)
	proxied := proxyErr == nil && proxy != nil
	name, unknown := errors.AsType[*net.DNSError](err)
	invalid, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	expired, dated := errors.AsType[x509.CertificateInvalidError](err)
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case untrusted && dated && expired.Reason == x509.Expired:
		return patience.Final(fmt.Errorf("%w; check this machine's clock and, if it is right, --endpoint", err))
	case untrusted && len(invalid.UnverifiedCertificates) > 0:
		return patience.Final(fmt.Errorf("%w; check --endpoint or, if a proxy inspects the traffic, name its certificate in SSL_CERT_FILE", err))
	case proxied && err.Error() == http.StatusText(http.StatusProxyAuthRequired):
		return fmt.Errorf("the proxy wants a login: %w; put user and password before the host in HTTPS_PROXY, with an @ behind them", err)
	case proxied && isStatusText(err.Error()):
		return fmt.Errorf("the proxy refuses: %w; have it let this machine connect to %s, or set NO_PROXY to that if no proxy is needed", err, req.URL.Host)
	case proxied && op != nil && op.Op == "proxyconnect":
		return fmt.Errorf("the proxy is not there: %w; check HTTPS_PROXY", err)
	case unknown && name.IsNotFound:
		return fmt.Errorf("%w; check the spelling of --endpoint, and this machine's network", err)
	case op != nil && op.Op == "dial":
		return fmt.Errorf("%w; check --endpoint, this machine's network, and whether it needs a proxy (HTTPS_PROXY)", err)
	}
	return err
}

// isStatusText reports whether text is all that a proxy's refusal becomes in Go.
func isStatusText(text string) bool {
	for status := http.StatusMultipleChoices; status < 600; status++ {
		if text == http.StatusText(status) && text != "" {
			return true
		}
	}
	return false
}
