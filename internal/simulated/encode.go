package simulated

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/cvexport/cvexport/schema"
)

// Float returns f as read from the service's JSON: its decimal text, which has seven
// digits if those are exact, else nine, as a float64.
func Float(f float32) float64 {
	text := strconv.FormatFloat(float64(f), 'e', 6, 32)
	if back, err := strconv.ParseFloat(text, 32); err != nil || float32(back) != f {
		text = strconv.FormatFloat(float64(f), 'e', 8, 32)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err) // FormatFloat writes numbers
	}
	return v
}

// appendFloat formats a float32 like .NET does: with upper-case exponents below 1e-5,
// and with ".0" after whole numbers.
func appendFloat(b []byte, f float32) []byte {
	v, start := Float(f), len(b)
	if size := math.Abs(v); v != 0 && size < 1e-5 || size >= 1e7 {
		return strconv.AppendFloat(b, v, 'E', -1, 64)
	}
	b = strconv.AppendFloat(b, v, 'f', -1, 64)
	if bytes.IndexByte(b[start:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// appendTicks formats a time like those of images: without a zone, with 3 to 7 fraction
// digits, without trailing zeros.
func appendTicks(b []byte, ticks int64) []byte {
	t := time.Unix(0, ticks*100).UTC()
	b = t.AppendFormat(b, "2006-01-02T15:04:05.0000000")
	for digits := 7; digits > 3 && b[len(b)-1] == '0'; digits-- {
		b = b[:len(b)-1]
	}
	return b
}

func appendString(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // every string can be encoded
	}
	return append(b, quoted...)
}

func appendID(b []byte, field string, id schema.ID) []byte {
	b = append(b, '"')
	b = append(b, field...)
	b = append(b, `":"`...)
	b = id.Append(b)
	return append(b, '"')
}

// appendImage encodes one image of a page. call makes the access tokens differ between
// requests.
func (s *Service) appendImage(b []byte, p int, img Image, call int64) []byte {
	b = append(b, '{')
	if len(img.Predictions) > 0 {
		b = append(b, `"predictions":[`...)
		for i, prediction := range img.Predictions {
			b = comma(b, i)
			b = appendFloat(append(b, `{"probability":`...), prediction.Probability)
			b = appendID(append(b, ','), "tagId", prediction.Tag.ID)
			b = appendString(append(b, `,"tagName":`...), prediction.Tag.Name)
			if prediction.Box != nil {
				b = append(b, `,"boundingBox":{`...)
				b = append(appendBox(b, *prediction.Box), '}')
			}
			b = append(b, '}')
		}
		b = append(b, `],`...)
	}
	b = appendID(b, "id", img.ID)
	b = append(appendTicks(append(b, `,"created":"`...), img.Created), '"')
	b = fmt.Appendf(b, `,"width":%d,"height":%d`, img.Width, img.Height)
	b = s.appendURI(append(b, `,"imageUri":`...), p, 'i', img.ID, call)
	b = s.appendURI(append(b, `,"thumbnailUri":`...), p, 't', img.ID, call)
	if len(img.Tags) > 0 {
		b = append(b, `,"tags":[`...)
		for i, label := range img.Tags {
			b = appendID(append(comma(b, i), '{'), "tagId", label.Tag.ID)
			b = appendString(append(b, `,"tagName":`...), label.Tag.Name)
			b = append(appendTicks(append(b, `,"created":"`...), label.Created), `"}`...)
		}
		b = append(b, ']')
	}
	if len(img.Regions) > 0 {
		b = append(b, `,"regions":[`...)
		for i, region := range img.Regions {
			b = appendID(append(comma(b, i), '{'), "regionId", region.ID)
			b = appendString(append(b, `,"tagName":`...), region.Tag.Name)
			b = append(appendTicks(append(b, `,"created":"`...), region.Created), `",`...)
			b = append(appendID(b, "tagId", region.Tag.ID), ',')
			b = append(appendBox(b, region.Box), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

func appendBox(b []byte, box Box) []byte {
	for i, side := range [...]string{"left", "top", "width", "height"} {
		b = comma(b, i)
		b = fmt.Appendf(b, `"%s":`, side)
		b = appendFloat(b, box[i])
	}
	return b
}

// URI returns the address of an image, without its access token.
func (s *Service) URI(project int, kind byte, id schema.ID) string {
	return fmt.Sprintf("https://simulated.blob.core.windows.net/i-%x/%c-%x", s.Projects()[project].ID[:], kind, id[:])
}

func (s *Service) appendURI(b []byte, p int, kind byte, id schema.ID, call int64) []byte {
	expires := epoch.Add(time.Duration(call) * time.Second).Format("2006-01-02T15%3A04%3A05Z")
	return fmt.Appendf(b, `"%s?sv=2017-04-17&sr=b&sig=SIMULATED%d%%3D&se=%s&sp=r"`, s.URI(p, kind, id), call, expires)
}
