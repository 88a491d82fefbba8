package load

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// ObjectRecord describes one object of an export.
type ObjectRecord struct {
	Table  string
	Key    string // below the warehouse's root
	Rows   int64
	Bytes  int64
	CRC32C uint32
}

// Export is a row of the exports table: one committed export of one iteration.
// Project and Iteration are in the object's key only. A nil pointer and a zero time
// are null. Times are in UTC, to the microsecond.
type Export struct {
	ExportID  schema.ID
	Project   schema.ID
	Iteration schema.ID

	ProjectName        *string
	IterationName      *string
	DomainID           *string
	ClassificationType *string
	TrainingType       *string
	Status             string
	Created            time.Time
	LastModified       time.Time
	TrainedAt          time.Time
	PublishName        *string

	// The service's own overall figures, and the thresholds of the request for them.
	Precision            *float64
	Recall               *float64
	AveragePrecision     *float64
	ProbabilityThreshold float64
	OverlapThreshold     float64

	// Rows of each table; [Publish] fills them in.
	Images         int64
	Predictions    int64
	Tags           int64
	Regions        int64
	TagPerformance int64

	TagFilter []string       // ids of the tags that the export is limited to; empty for every image
	Objects   []ObjectRecord // [Publish] fills them in

	EndpointHost    string
	APIVersion      string
	SchemaVersion   int32 // [Publish] fills it in
	ExporterVersion string
	StartedAt       time.Time
	FinishedAt      time.Time // [Publish] fills it in
}

// columns maps the columns of the exports table to the fields of e, for writing and
// reading.
func (e *Export) columns() map[string]any {
	return map[string]any{
		"export_id":             &e.ExportID,
		"project_name":          &e.ProjectName,
		"iteration_name":        &e.IterationName,
		"domain_id":             &e.DomainID,
		"classification_type":   &e.ClassificationType,
		"training_type":         &e.TrainingType,
		"status":                &e.Status,
		"created":               &e.Created,
		"last_modified":         &e.LastModified,
		"trained_at":            &e.TrainedAt,
		"publish_name":          &e.PublishName,
		"precision":             &e.Precision,
		"recall":                &e.Recall,
		"average_precision":     &e.AveragePrecision,
		"probability_threshold": &e.ProbabilityThreshold,
		"overlap_threshold":     &e.OverlapThreshold,
		"images":                &e.Images,
		"predictions":           &e.Predictions,
		"tags":                  &e.Tags,
		"regions":               &e.Regions,
		"tag_performance":       &e.TagPerformance,
		"tag_filter":            &e.TagFilter,
		"objects":               &e.Objects,
		"endpoint_host":         &e.EndpointHost,
		"api_version":           &e.APIVersion,
		"schema_version":        &e.SchemaVersion,
		"exporter_version":      &e.ExporterVersion,
		"started_at":            &e.StartedAt,
		"finished_at":           &e.FinishedAt,
	}
}

// rowsOf returns the field that counts the rows of a data table, nil for a table that
// this version does not know.
func (e *Export) rowsOf(table string) *int64 {
	n, _ := e.columns()[table].(*int64)
	return n
}

// ReadExport reads the record of an iteration's last export, and the object that
// holds it. The error wraps fs.ErrNotExist if the iteration was never exported, and
// [ErrDamaged] if the record cannot be read. Columns that this version does not know
// are ignored; columns that the record lacks are zero.
func ReadExport(ctx context.Context, s store.Store, project, iteration schema.ID) (Export, store.Object, error) {
	body, obj, err := FetchRecord(ctx, s, schema.Exports.Path(project, iteration))
	var e Export
	if err == nil {
		if e, err = DecodeRecord(body); err != nil {
			err = fmt.Errorf("%s: %w", s.URL(obj.Key), err)
		}
	}
	if err != nil {
		return Export{}, store.Object{}, fmt.Errorf("read the exports record of project %s iteration %s: %w", project, iteration, err)
	}
	e.Project, e.Iteration = project, iteration
	return e, obj, nil
}

// maxRecord bounds an exports object, which is a row of a few kilobytes.
const maxRecord = 64 << 20

// FetchRecord reads the bytes of an exports object, and which version of it they are.
// The error wraps fs.ErrNotExist or [ErrDamaged].
func FetchRecord(ctx context.Context, s store.Store, key string) ([]byte, store.Object, error) {
	const tries = 3
	for range tries {
		obj, err := s.Stat(ctx, key)
		if err != nil {
			return nil, store.Object{}, err
		}
		if obj.Size > maxRecord {
			return nil, store.Object{}, fmt.Errorf("%w: %s has %d bytes", ErrDamaged, key, obj.Size)
		}
		body, err := readAll(ctx, s, key)
		if err != nil {
			return nil, store.Object{}, err
		}
		crc := crc32.Checksum(body, store.Castagnoli)
		again, err := obj, error(nil)
		if !obj.Summed { // then only its version tells that it stayed the same
			again, err = s.Stat(ctx, key)
			obj.CRC32C, obj.Summed = crc, true
		}
		if err != nil {
			return nil, store.Object{}, err
		}
		if int64(len(body)) == obj.Size && crc == obj.CRC32C && again.Version == obj.Version {
			return body, obj, nil
		}
		// It was replaced between the two calls, or it is damaged.
	}
	return nil, store.Object{}, fmt.Errorf("%w: the size or the crc32c of %s is not the one its store keeps", ErrDamaged, key)
}

// ErrDamaged means that an exports record is there and cannot be read.
var ErrDamaged = errors.New("the exports record is damaged")

// DecodeRecord reads the bytes of an exports object. The error wraps [ErrDamaged].
func DecodeRecord(body []byte) (Export, error) {
	e, err := decodeExport(body)
	if err != nil {
		return Export{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return e, nil
}

func readAll(ctx context.Context, s store.Store, key string) ([]byte, error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, maxRecord))
	return body, errors.Join(err, r.Close())
}
