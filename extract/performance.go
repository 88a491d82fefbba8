package extract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

// Performance is the service's own evaluation of an iteration at given thresholds. What
// the service did not give is nil.
type Performance struct {
	Precision        *float64
	Recall           *float64
	AveragePrecision *float64
	Tags             []TagPerformance

	// Missing says what the service did not give, and why; it is empty if all of these
	// figures are there.
	Missing string
	Lacking int // how many numbers are nil, without the tags that are not in Tags
}

// TagFigures is how many figures a tag has.
const TagFigures = 5

// Empty reports whether there is no figure at all.
func (p Performance) Empty() bool {
	return p.Precision == nil && p.Recall == nil && p.AveragePrecision == nil && len(p.Tags) == 0
}

// TagPerformance is the service's own evaluation of one tag.
type TagPerformance struct {
	ID                    schema.ID
	Name                  *string
	Precision             *float64
	PrecisionStdDeviation *float64
	Recall                *float64
	RecallStdDeviation    *float64
	AveragePrecision      *float64
}

// Performance reads the service's own evaluation (GetIterationPerformance). threshold
// is the minimum probability of predictions that count, overlap the minimum
// intersection over union of boxes that match.
//
// The service has none of some iterations, and then answers 404 or 400 for good. That is
// no error, nor is a figure that is missing, null or no number: see Missing.
func (c *Client) Performance(ctx context.Context, project, iteration schema.ID, threshold, overlap float64) (Performance, error) {
	what := fmt.Sprintf("reading the performance of project %s, iteration %s", project, iteration)
	query := url.Values{
		"threshold":        {strconv.FormatFloat(threshold, 'f', -1, 64)},
		"overlapThreshold": {strconv.FormatFloat(overlap, 'f', -1, 64)},
	}
	answer, err := getAnswer(ctx, c, what, (*performanceAnswer).check, query, iterationPath(project, iteration, "performance")...)
	if service, ok := errors.AsType[*ServiceError](err); ok && (service.Status == http.StatusNotFound || service.Status == http.StatusBadRequest) {
		return Performance{Missing: service.answer()}, nil
	}
	if err != nil {
		return Performance{}, err
	}
	return answer.performance(c.key), nil
}

// performanceAnswer is the JSON of the evaluation.
type performanceAnswer struct {
	Code             json.RawMessage `json:"code"` // of an error, which a gateway may report as a success
	Precision        *figure         `json:"precision"`
	Recall           *figure         `json:"recall"`
	AveragePrecision *figure         `json:"averagePrecision"`
	Tags             []struct {
		ID                    schema.ID `json:"id"`
		Name                  *string   `json:"name"`
		Precision             *figure   `json:"precision"`
		PrecisionStdDeviation *figure   `json:"precisionStdDeviation"`
		Recall                *figure   `json:"recall"`
		RecallStdDeviation    *figure   `json:"recallStdDeviation"`
		AveragePrecision      *figure   `json:"averagePrecision"`
	} `json:"perTagPerformance"`
}

// figure is a number, or the text that stands in its place, such as "NaN".
type figure struct {
	value float64
	other string
}

func (f *figure) UnmarshalJSON(b []byte) error {
	if b[0] == '-' || b[0] >= '0' && b[0] <= '9' {
		*f = figure{}
		return json.Unmarshal(b, &f.value)
	}
	*f = figure{other: string(b)}
	return nil
}

func (a *performanceAnswer) check() error {
	if a == nil || a.Code != nil && a.Precision == nil && a.Recall == nil && a.AveragePrecision == nil && a.Tags == nil {
		return errors.New("the answer is no evaluation")
	}
	seen := make(map[schema.ID]bool, len(a.Tags))
	for _, tag := range a.Tags {
		if tag.ID.IsZero() {
			continue // left out, and told
		}
		if _, err := checkTexts(tag.ID, tag.Name); err != nil {
			return err
		}
		if seen[tag.ID] {
			return fmt.Errorf("%s is listed twice", tag.ID)
		}
		seen[tag.ID] = true
	}
	return nil
}

// performance takes what is there, and says what is not.
func (a *performanceAnswer) performance(key string) Performance {
	var p Performance
	var missing []string
	lacks := func(field, why string) {
		const most = 20 // different ones; an answer may hold any number of tags
		if text := "no " + field + why; len(missing) < most && !slices.Contains(missing, text) {
			missing = append(missing, text)
		}
	}
	number := func(field string, f *figure) *float64 {
		switch {
		case f == nil:
			lacks(field, "")
		case f.other != "":
			lacks(field, fmt.Sprintf(" but %.40s", clean(f.other, key)))
		case !(f.value >= 0 && f.value <= 1):
			lacks(field, fmt.Sprintf(" but %v", f.value))
		default:
			return &f.value
		}
		p.Lacking++
		return nil
	}
	p.Precision, p.Recall, p.AveragePrecision = number("precision", a.Precision), number("recall", a.Recall), number("averagePrecision", a.AveragePrecision)
	if a.Tags == nil {
		lacks("perTagPerformance", "")
	}
	for _, tag := range a.Tags {
		if tag.ID.IsZero() {
			lacks("perTagPerformance[].id", "")
			continue
		}
		of := func(field string, f *figure) *float64 { return number("perTagPerformance[]."+field, f) }
		p.Tags = append(p.Tags, TagPerformance{
			ID: tag.ID, Name: tag.Name,
			Precision: of("precision", tag.Precision), PrecisionStdDeviation: of("precisionStdDeviation", tag.PrecisionStdDeviation),
			Recall: of("recall", tag.Recall), RecallStdDeviation: of("recallStdDeviation", tag.RecallStdDeviation),
			AveragePrecision: of("averagePrecision", tag.AveragePrecision),
		})
	}
	if len(missing) > 0 {
		p.Missing = "the service gave " + strings.Join(missing, ", ")
	}
	return p
}
