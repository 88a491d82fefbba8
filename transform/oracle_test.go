package transform

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The oracle: a page as encoding/json reads it, and the rows that follow.

type oraclePage []oracleImage

type oracleImage struct {
	Predictions  []oraclePrediction `json:"predictions,omitempty"`
	ID           string             `json:"id"`
	Created      *string            `json:"created,omitempty"`
	Width        *int32             `json:"width,omitempty"`
	Height       *int32             `json:"height,omitempty"`
	ImageURI     *string            `json:"imageUri,omitempty"`
	ThumbnailURI *string            `json:"thumbnailUri,omitempty"`
	Tags         []oracleLabel      `json:"tags,omitempty"`
	Regions      []oracleLabel      `json:"regions,omitempty"`
}

type oraclePrediction struct {
	Probability json.Number `json:"probability"`
	TagID       string      `json:"tagId"`
	TagName     *string     `json:"tagName,omitempty"`
	BoundingBox *oracleBox  `json:"boundingBox,omitempty"`
}

type oracleBox struct {
	Left   json.Number `json:"left"`
	Top    json.Number `json:"top"`
	Width  json.Number `json:"width"`
	Height json.Number `json:"height"`
}

type oracleLabel struct {
	RegionID string  `json:"regionId,omitempty"`
	TagName  *string `json:"tagName,omitempty"`
	Created  *string `json:"created,omitempty"`
	TagID    string  `json:"tagId"`
	oracleBoxOrNone
}

type oracleBoxOrNone struct {
	Left   json.Number `json:"left,omitempty"`
	Top    json.Number `json:"top,omitempty"`
	Width  json.Number `json:"width,omitempty"`
	Height json.Number `json:"height,omitempty"`
}

func (p oraclePage) rows(t *testing.T) map[string][]row {
	x := exportID.String()
	out := map[string][]row{"images": nil, "predictions": nil, "tags": nil, "regions": nil}
	for i, img := range p {
		id := strings.ToLower(img.ID)
		out["images"] = append(out["images"], row{"export_id": x, "image_id": id, "image_index": int32(i), "created": oracleTime(t, img.Created),
			"width": deref(img.Width), "height": deref(img.Height), "image_uri": withoutQuery(img.ImageURI), "thumbnail_uri": withoutQuery(img.ThumbnailURI)})
		for n, v := range img.Predictions {
			r := row{"export_id": x, "image_id": id, "prediction_index": int32(n), "tag_id": strings.ToLower(v.TagID), "tag_name": deref(v.TagName),
				"probability": double(t, v.Probability), "box_left": nil, "box_top": nil, "box_width": nil, "box_height": nil}
			if b := v.BoundingBox; b != nil {
				r["box_left"], r["box_top"], r["box_width"], r["box_height"] = double(t, b.Left), double(t, b.Top), double(t, b.Width), double(t, b.Height)
			}
			out["predictions"] = append(out["predictions"], r)
		}
		for n, v := range img.Tags {
			out["tags"] = append(out["tags"], row{"export_id": x, "image_id": id, "tag_index": int32(n), "tag_id": strings.ToLower(v.TagID),
				"tag_name": deref(v.TagName), "created": oracleTime(t, v.Created)})
		}
		for n, v := range img.Regions {
			out["regions"] = append(out["regions"], row{"export_id": x, "image_id": id, "region_index": int32(n), "region_id": strings.ToLower(v.RegionID),
				"tag_id": strings.ToLower(v.TagID), "tag_name": deref(v.TagName), "created": oracleTime(t, v.Created),
				"box_left": double(t, v.Left), "box_top": double(t, v.Top), "box_width": double(t, v.Width), "box_height": double(t, v.Height)})
		}
	}
	return out
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func withoutQuery(s *string) any {
	if s == nil {
		return nil
	}
	before, _, _ := strings.Cut(*s, "?")
	return before
}

func double(t *testing.T, n json.Number) any {
	t.Helper()
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// oracleTime reads a time with the standard library, cut to the microsecond.
func oracleTime(t *testing.T, s *string) any {
	t.Helper()
	if s == nil {
		return nil
	}
	at, err := time.Parse("2006-01-02T15:04:05.999999999", strings.TrimSuffix(*s, "Z"))
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(at.UnixMicro()).UTC().Format(time.RFC3339Nano)
}
