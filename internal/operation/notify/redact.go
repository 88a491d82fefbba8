package notify

import "regexp"

var query = regexp.MustCompile(`\?[^\s"'<>]*`)

// redact returns err with the query of every URL in its text cut out: that is
// where a shared access signature stands. It still wraps err.
func redact(err error) error {
	if err == nil {
		return nil
	}
	return &redacted{err, query.ReplaceAllString(err.Error(), "?REDACTED")}
}

type redacted struct {
	err  error
	text string
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }
