package report

import (
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/analysis/verdict"
	"github.com/cvexport/cvexport/schema"
)

// Page is the data of a page, as its script reads it. Lists by threshold, tag or image
// have the order of Thresholds, Tags and Images.
type Page struct {
	Project    Project     `json:"project"`
	Kind       string      `json:"kind"` // multiclass, multilabel or detection
	Overlap    float64     `json:"overlap"`
	Thresholds []float64   `json:"thresholds"` // of the slider
	Start      int         `json:"start"`      // the position of the threshold that it starts at
	Iterations []Iteration `json:"iterations"` // of the project, in the order of training
	Shown      int         `json:"shown"`
	Compared   int         `json:"compared"` // -1: none

	Trend   [][]figures `json:"trend"`   // micro, each on its own images, by threshold and iteration
	Tags    []Tag       `json:"tags"`    // by name
	Metrics []metrics   `json:"metrics"` // of Shown, on its own images, by threshold

	Shared  []shared         `json:"shared"`            // of the two that are compared, by threshold; empty if there is none to compare with
	Apart   *apart           `json:"apart,omitempty"`   // what keeps them from being compared
	Verdict *verdict.Verdict `json:"verdict,omitempty"` // at Start; nil if Apart is not, or there is none to compare with

	AveragePrecision       *float64 `json:"averagePrecision"` // mAP of Shown, and of Compared, each on its own images
	AveragePrecisionBefore *float64 `json:"averagePrecisionBefore"`

	Confusion [][][3]int    `json:"confusion"` // by threshold: labelled tag, predicted tag (-1: none), cases
	Hardest   [][]hardImage `json:"hardest"`   // by threshold
	HardTotal []int         `json:"hardTotal"` // how many images have mistakes
	Suspects  []suspect     `json:"suspects"`  // the most suspect first, at no threshold
	SusTotal  int           `json:"suspectTotal"`
	Changes   []changes     `json:"changes"` // by threshold; empty if there is none to compare with
	COCO      *cocoSection  `json:"coco"`    // null for a classifier
	Images    []Image       `json:"images"`  // that are in any list

	CurvePoints int      `json:"curvePoints"` // of all curves, before they are thinned
	Notes       []string `json:"notes"`       // for the reader
	Warning     error    `json:"-"`           // for the person who makes the page; nil if all is well
}

// Project is a project that has a committed export.
type Project struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Iteration is an iteration with a committed export, and the service's own figures.
type Iteration struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Kind      string `json:"-"`
	Trained   string `json:"trained"` // RFC 3339, or empty
	Published string `json:"published,omitempty"`
	Domain    string `json:"domain,omitempty"`
	Filtered  bool   `json:"filtered,omitempty"` // the export was limited to some tags
	Images    int64  `json:"images"`
	endpoint  string // the service's host

	Precision            *float64 `json:"precision"`
	Recall               *float64 `json:"recall"`
	AveragePrecision     *float64 `json:"averagePrecision"`
	ProbabilityThreshold float64  `json:"probabilityThreshold"`
	OverlapThreshold     float64  `json:"overlapThreshold"`
}

// IsDetector reports whether the model says where in an image the tags are.
func (i Iteration) IsDetector() bool { return i.Kind == schema.Detection }

// figures are precision, recall and F1.
type figures [3]*float64

// metrics are the figures of an iteration at one threshold.
type metrics struct {
	Micro counted   `json:"micro"`
	Macro counted   `json:"macro"`
	Tags  []counted `json:"tags"` // null: the iteration does not have the tag, or no case of it
}

// counted is true positives, false positives, false negatives, precision, recall, F1.
type counted []any

func (c counted) counts() (right, wrong, missed int64) {
	return c[0].(int64), c[1].(int64), c[2].(int64)
}

func (c counted) f1() *float64 { return c[5].(*float64) }

// shared is the rows of comparison at one threshold.
type shared struct {
	Images int     `json:"images"` // that both iterations judged
	Before metrics `json:"before"`
	Now    metrics `json:"now"`
}

// apart is why two iterations cannot be compared: there is no image that both judged, or
// on those images one of them has no label or no prediction.
type apart struct {
	Side string `json:"side"` // before or now; empty for images
	What string `json:"what"` // image, label or prediction
}

// Tag is a tag of the shown iteration or of the one it is compared with.
type Tag struct {
	ID               string     `json:"id"`
	Name             string     `json:"name"`
	Labels           int64      `json:"labels"`
	Training         *int64     `json:"training"` // how many images the service trained it with
	AveragePrecision *float64   `json:"averagePrecision"`
	Before           *float64   `json:"averagePrecisionBefore"`
	Service          service    `json:"service"`
	Best             []*float64 `json:"best"`  // threshold, precision, recall, F1; null if the tag has no curve
	Curve            [][3]any   `json:"curve"` // recall, precision, threshold; thinned
}

// service is the service's own precision, recall and average precision.
type service [3]*float64

// hardImage is image, error, true positives, false positives, false negatives.
type hardImage = []any

// suspect is image, kind, score, predicted tag, its probability and threshold, labelled
// tag, its probability and threshold, prediction index, label index, overlap.
type suspect = []any

// changes is what has changed for the images of both iterations at one threshold.
type changes struct {
	Counts [4]int    `json:"counts"` // fixed, broken, still right, still wrong
	Tags   [][5]int  `json:"tags"`   // tag, and the same counts
	Broken []changed `json:"broken"`
	Fixed  []changed `json:"fixed"`
}

// changed is image, tag, then for before and after: true positives, false positives,
// false negatives and the highest probability.
type changed = []any

// Image is an image that is in a list.
type Image struct {
	ID          string  `json:"id"`
	Width       *int64  `json:"w"`
	Height      *int64  `json:"h"`
	Picture     string  `json:"picture,omitempty"` // a data: URL
	Predictions [][]any `json:"predictions"`       // tag, probability, 1 if right, index, box
	Labels      [][]any `json:"labels"`            // tag, the probability that finds it or null, index, box
	Before      [][]any `json:"before,omitempty"`  // for fixed tags, wrong predictions of the iteration compared with: tag, probability, box
}

// imageURIs are the addresses of an image at the service.
type imageURIs struct{ image, thumbnail string }

// readImages reads the sizes, labels and predictions of the listed images.
func (l *loader) readImages() error {
	l.uris = make([]imageURIs, len(l.page.Images))
	if len(l.page.Images) == 0 {
		return nil
	}
	var numbers []string
	for number := range l.image {
		numbers = append(numbers, "("+strconv.FormatInt(number, 10)+")")
	}
	if err := l.run("CREATE TABLE report_shown AS SELECT * FROM (VALUES " + strings.Join(numbers, ", ") + ") AS v(image_id)"); err != nil {
		return err
	}
	var number int64
	var image Image
	var uris imageURIs
	err := l.read(`SELECT image_id, id, width, height, COALESCE(image_uri, ''), COALESCE(thumbnail_uri, '')
FROM report_shown JOIN report_image_ids ON number = image_id LEFT JOIN report_current_images USING (image_id)
WHERE iteration_id IS NULL OR iteration_id = `+rows.Quote(l.shown().ID), []any{&number, &image.ID, &image.Width, &image.Height, &uris.image, &uris.thumbnail}, func() {
		n := l.image[number]
		l.uris[n] = uris
		i := &l.page.Images[n]
		i.ID, i.Width, i.Height = image.ID, image.Width, image.Height
	})
	if err != nil {
		return err
	}
	var probability *float64 // of a label: of the prediction that finds it
	var tag, right, index int
	var box [4]*float64
	err = l.read(`SELECT image_id, tag_id, probability, is_right, prediction_index`+l.boxes("box_")+`
FROM (SELECT *, 1 AS is_right FROM report_right UNION ALL BY NAME SELECT *, 0 AS is_right FROM report_wrong) SEMI JOIN report_shown USING (image_id)
WHERE iteration_id = `+rows.Quote(l.shown().ID)+` ORDER BY image_id, probability DESC, prediction_index`, []any{&number, l.tag(&tag), &probability, &right, &index, &box[0], &box[1], &box[2], &box[3]}, func() {
		i := &l.page.Images[l.image[number]]
		i.Predictions = append(i.Predictions, append([]any{tag, probability, right, index}, boxValues(box)...))
	})
	if err != nil {
		return err
	}
	return l.read(`SELECT c.image_id, c.tag_id, o.probability, c.label_index, c.box_left, c.box_top, c.box_width, c.box_height
FROM current_labels AS c SEMI JOIN report_shown AS s ON s.image_id = c.image_id
LEFT JOIN report_right AS o ON o.iteration_id = c.iteration_id AND o.image_id = c.image_id AND o.label_index = c.label_index
WHERE c.iteration_id = `+rows.Quote(l.shown().ID)+` ORDER BY c.image_id, c.label_index`, []any{&number, l.tag(&tag), &probability, &index, &box[0], &box[1], &box[2], &box[3]}, func() {
		i := &l.page.Images[l.image[number]]
		i.Labels = append(i.Labels, append([]any{tag, probability, index}, boxValues(box)...))
	})
}

// boxValues are a box's left, top, width and height; nothing for a classifier.
func boxValues(box [4]*float64) (values []any) {
	for _, v := range box {
		if v == nil {
			return nil
		}
		values = append(values, short(*v))
	}
	return values
}
