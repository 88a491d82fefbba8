package jobs

import (
	"regexp"

	"github.com/cvexport/cvexport/schema"
)

// Cause returns what an error has in common with those of others that failed for the same
// reason: its text without ids, numbers and durations. A status of HTTP stays.
func Cause(err error) string {
	return differs.ReplaceAllStringFunc(err.Error(), func(part string) string {
		if httpStatus.MatchString(part) {
			return part
		}
		return "#"
	})
}

var (
	// differs matches what differs from one time to the next: the id of a request, ids, times
	// and durations, and numbers.
	differs    = regexp.MustCompile(`\(request [^)]*\)|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|\d[\d.,]*(ns|µs|ms|s|m|h)(\d[\d.]*(ns|µs|ms|s|m|h))*\b|\d+`)
	httpStatus = regexp.MustCompile(`^[345]\d\d$`)
)

// causes remembers which iteration was the first to fail for a reason.
type causes map[string]schema.ID

// tell is the error of an iteration for the log: its text, or which iteration failed for
// the same reason before.
func (c *causes) tell(iteration schema.ID, err error) string {
	cause := Cause(err)
	if first, told := (*c)[cause]; told && first != iteration {
		return "the same as of iteration " + first.String()
	}
	if *c == nil {
		*c = causes{}
	}
	(*c)[cause] = iteration
	return err.Error()
}
