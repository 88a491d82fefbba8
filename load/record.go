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
	Table  string `json:"table"`
	Key    string `json:"key"` // below the warehouse's root
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	CRC32C uint32 `json:"crc32c"`
}

// Export is a row of the exports table: one committed export of one iteration.
// The fields' tags name its columns; Project and Iteration are in the object's key only.
// A nil pointer and a zero time are null. Times are in UTC, to the microsecond.
type Export struct {
	ExportID  schema.ID `json:"export_id"`
	Project   schema.ID `json:"-"`
	Iteration schema.ID `json:"-"`

	ProjectName        *string   `json:"project_name"`
	IterationName      *string   `json:"iteration_name"`
	DomainID           *string   `json:"domain_id"`
	ClassificationType *string   `json:"classification_type"`
	TrainingType       *string   `json:"training_type"`
	Status             string    `json:"status"`
	Created            time.Time `json:"created,omitzero"`
	LastModified       time.Time `json:"last_modified,omitzero"`
	TrainedAt          time.Time `json:"trained_at,omitzero"`
	PublishName        *string   `json:"publish_name"`

	// The service's own overall figures, and the thresholds of the request for them.
	Precision            *float64 `json:"precision"`
	Recall               *float64 `json:"recall"`
	AveragePrecision     *float64 `json:"average_precision"`
	ProbabilityThreshold float64  `json:"probability_threshold"`
	OverlapThreshold     float64  `json:"overlap_threshold"`

	// Rows counts the rows of each data table, in a column of the table's name;
	// [Publish] fills it in.
	Rows map[string]int64 `json:"-"`

	TagFilter []string       `json:"tag_filter"` // ids of the tags that the export is limited to; empty for every image
	Objects   []ObjectRecord `json:"objects"`    // [Publish] fills them in

	EndpointHost    string    `json:"endpoint_host"`
	APIVersion      string    `json:"api_version"`
	SchemaVersion   int32     `json:"schema_version"` // [Publish] fills it in
	ExporterVersion string    `json:"exporter_version"`
	StartedAt       time.Time `json:"started_at,omitzero"`
	FinishedAt      time.Time `json:"finished_at,omitzero"` // [Publish] fills it in

	ModelKind string `json:"model_kind,omitempty"` // [schema.Classification] or [schema.Detection]; empty before schema version 2

	// FiguresMissing says which of the service's own figures are null, overall or of tags,
	// and why. It is empty if all are there.
	FiguresMissing string `json:"figures_missing,omitempty"`
}

// Images returns the number of images.
func (e *Export) Images() int64 { return e.Rows[schema.Images.Name] }

// ReadExport reads the record of an iteration's last export, and the object that
// holds it. The error wraps fs.ErrNotExist if the iteration was never exported, and
// [ErrDamaged] if the record cannot be read, or is of another iteration. Columns that this
// version does not know are ignored; columns that the record lacks are zero.
func ReadExport(ctx context.Context, s store.Store, project, iteration schema.ID) (Export, store.Object, error) {
	body, obj, err := FetchRecord(ctx, s, schema.Exports.Path(project, iteration))
	var e Export
	if err == nil {
		if e, err = DecodeRecord(body); err == nil {
			err = e.checkKeys(project, iteration)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.URL(obj.Key), err)
		}
	}
	if err != nil {
		return Export{}, store.Object{}, fmt.Errorf("read the exports record of project %s iteration %s: %w", project, iteration, err)
	}
	e.Project, e.Iteration = project, iteration
	return e, obj, nil
}

// Bounds of an exports object, which is a row of a few kilobytes and names six objects.
const (
	maxRecord  = 1 << 20 // bytes
	maxObjects = 64
)

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
			return nil, store.Object{}, fmt.Errorf("%w: %s has %d bytes, more than the limit of %d", ErrDamaged, key, obj.Size, maxRecord)
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

func readAll(ctx context.Context, s store.Store, key string) ([]byte, error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	return body, errors.Join(err, r.Close())
}

// checkKeys returns an error if the record lists an object that is not the iteration's.
func (e *Export) checkKeys(project, iteration schema.ID) error {
	for _, o := range e.Objects {
		if want := (schema.Table{Name: o.Table}).Path(project, iteration); o.Key != want || store.CheckKey(want) != nil {
			return fmt.Errorf("%w: it lists %.200q, which is not an object of the iteration", ErrDamaged, o.Key)
		}
	}
	return nil
}
