package transform

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/schema"
)

const (
	idA = "26571c15-ac69-4b76-8806-de27e33eb796"
	idB = "22ea8bc6-cce5-48c9-b732-37b5449e32f4"
	tag = "6a6d50a1-8987-4283-89f6-92d94a923822"
	reg = "62675a96-062f-439e-ad6c-481386234e16"
)

var exportID = schema.ID{0x01, 0x92, 15: 7}

func decode(t *testing.T, opts Options, body string, known func(schema.ID) bool) (*Records, error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	opts.ExportID, opts.Memory = exportID, mem
	d := NewDecoder(opts)
	records, err := d.Decode([]byte(body), 0, known)
	t.Cleanup(func() {
		if records != nil {
			records.Release()
		}
		mem.AssertSize(t, 0)
	})
	return records, err
}

func TestDecodeRows(t *testing.T) {
	body := `[{"predictions":[{"probability":8.79471951E-13,"tagId":"` + tag + `","tagName":"Schere \u2702 \"x\""},
		{"probability":0.901985943,"tagId":"` + strings.ToUpper(tag) + `","tagName":null,"boundingBox":{"left":0.08163983,"top":-0.5,"width":1.0,"height":0.6662499}}],
		"id":"` + idA + `","created":"2020-02-11T16:43:08.98791","width":816,"height":612,
		"imageUri":"https://h/i-1?sv=2017&sig=SECRET","thumbnailUri":"t-1",
		"tags":[{"tagId":"` + tag + `","tagName":"a","created":"2020-02-11T16:43:09.1094547"}],
		"regions":[{"regionId":"` + reg + `","tagName":"a","created":null,"tagId":"` + tag + `","left":0.1,"top":0.2,"width":0.3,"height":0.4}]},
		{"id":"` + idB + `","tags":null,"predictions":[{"probability":1,"tagId":"` + tag + `","boundingBox":null}]}]`
	records, err := decode(t, Options{}, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b, tg, rg, x := idA, idB, tag, reg, exportID.String()
	want := map[string][]row{
		"images": {
			{"export_id": x, "image_id": a, "image_index": int32(0), "created": "2020-02-11T16:43:08.98791Z", "width": int32(816), "height": int32(612), "image_uri": "https://h/i-1", "thumbnail_uri": "t-1"},
			{"export_id": x, "image_id": b, "image_index": int32(1), "created": nil, "width": nil, "height": nil, "image_uri": nil, "thumbnail_uri": nil},
		},
		"predictions": {
			{"export_id": x, "image_id": a, "prediction_index": int32(0), "tag_id": tg, "tag_name": `Schere ✂ "x"`, "probability": 8.79471951e-13, "box_left": nil, "box_top": nil, "box_width": nil, "box_height": nil},
			{"export_id": x, "image_id": a, "prediction_index": int32(1), "tag_id": tg, "tag_name": nil, "probability": 0.901985943, "box_left": 0.08163983, "box_top": -0.5, "box_width": 1.0, "box_height": 0.6662499},
			{"export_id": x, "image_id": b, "prediction_index": int32(0), "tag_id": tg, "tag_name": nil, "probability": 1.0, "box_left": nil, "box_top": nil, "box_width": nil, "box_height": nil},
		},
		"tags": {{"export_id": x, "image_id": a, "tag_index": int32(0), "tag_id": tg, "tag_name": "a", "created": "2020-02-11T16:43:09.109454Z"}},
		"regions": {{"export_id": x, "image_id": a, "region_index": int32(0), "region_id": rg, "tag_id": tg, "tag_name": "a", "created": nil,
			"box_left": 0.1, "box_top": 0.2, "box_width": 0.3, "box_height": 0.4}},
	}
	if diff := cmp.Diff(want, decodedRows(records)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestDecodeKeepsSASWhenAsked(t *testing.T) {
	records, err := decode(t, Options{KeepSAS: true}, `[{"id":"`+idA+`","imageUri":"/i?sig=x"}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := decodedRows(records)["images"][0]["image_uri"]; got != "/i?sig=x" {
		t.Errorf("image_uri = %v", got)
	}
}

func TestDecodeLeavesKnownImagesOut(t *testing.T) {
	body := `[{"predictions":[{"probability":1,"tagId":"` + tag + `"}],"id":"` + idA + `"},{"predictions":[{"probability":0.5,"tagId":"` + tag + `"}],"id":"` + idB + `"}]`
	a, _ := schema.ParseID(idA)
	b, _ := schema.ParseID(idB)
	records, err := decode(t, Options{}, body, func(id schema.ID) bool { return id == a })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]schema.ID{a, b}, records.ImageIDs()); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	rows := decodedRows(records)
	if len(rows["images"]) != 1 || len(rows["predictions"]) != 1 || rows["predictions"][0]["image_id"] != idB {
		t.Errorf("rows = %v", rows)
	}
}

// A time that cannot be read is null, and the first of each field is noted.
func TestDecodeUnreadTimes(t *testing.T) {
	records, err := decode(t, Options{}, `[{"id":"`+idA+`","created":"yesterday","tags":[{"tagId":"`+tag+`","created":5},{"tagId":"`+tag+`","created":"2018-10-18T17:05:35.8458152"}],
		"regions":[{"regionId":"`+tag+`","tagId":"`+tag+`","left":0,"top":0,"width":1,"height":1,"created":{"at":["`+strings.Repeat("x", 100)+`"]}}]},
		{"id":"`+idB+`","created":"tomorrow"}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"created": `"yesterday"`, "tags[].created": "5", "regions[].created": `{"at":["` + strings.Repeat("x", 52) + "..."}
	if diff := cmp.Diff(want, records.Unread); diff != "" {
		t.Errorf("unread (-want +got):\n%s", diff)
	}
	rows := decodedRows(records)
	got := []any{rows["images"][0]["created"], rows["images"][1]["created"], rows["tags"][0]["created"], rows["tags"][1]["created"], rows["regions"][0]["created"]}
	if diff := cmp.Diff([]any{nil, nil, nil, "2018-10-18T17:05:35.845815Z", nil}, got); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

func TestDecodeCountsUnknownFields(t *testing.T) {
	records, err := decode(t, Options{}, `[{"new":{"a":[1,{}]},"id":"`+idA+`","predictions":[{"probability":1,"tagId":"`+tag+`","x":1,"boundingBox":{"left":0,"top":0,"width":1,"height":1,"z":0}}]},{"id":"`+idB+`","new":1}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"new": 2, "predictions[].x": 1, "predictions[].boundingBox.z": 1}
	if diff := cmp.Diff(want, records.Unknown); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	image := func(fields string) string { return `[{"id":"` + idB + `"},{"id":"` + idA + `",` + fields + `}]` }
	prediction := func(fields string) string {
		return image(`"predictions":[{"probability":1,"tagId":"` + tag + `"},{` + fields + `}]`)
	}
	for name, tc := range map[string]struct{ body, want string }{
		"empty":              {"", "the body is empty"},
		"html":               {"\n<html>502</html>", "byte 1: html where json should be"},
		"no list":            {`{"code":"x"}`, "byte 0: want an array, got an object"},
		"cut off":            {image(`"width":816`)[:60], "the page is cut off after 60 bytes"},
		"cut in a string":    {`[{"id":"2657`, "field id: the page is cut off after 12 bytes"},
		"null":               {"null", "byte 0: want an array, got null"},
		"byte order mark":    {"\ufeff[]", "byte 0: unexpected character '\\ufeff'"},
		"mark before html":   {"\ufeff<html>", "byte 3: html where json should be"},
		"bytes of no text":   {"\x1f\x8b", "byte 0: unexpected character '\\x1f'"},
		"bytes not utf-8":    {"[\x8b", "image 0, byte 1: the bytes are not valid utf-8"},
		"no comma":           {`[{"id":"` + idA + `"} {"id":"` + idB + `"}]`, "byte 47: unexpected character '{'"},
		"comma at the end":   {image(`"tags":[],`), "image 1, byte 102: unexpected character '}'"},
		"comma in a list":    {image(`"tags":[,]`), "image 1, byte 100, field tags[0]: unexpected character ','"},
		"no colon":           {image(`"tags" []`), "image 1, byte 99: unexpected character '['"},
		"key is a number":    {image(`1:2`), "image 1, byte 92: unexpected character '1'"},
		"bad escape":         {image(`"imageUri":"\x"`), "image 1, byte 105, field imageUri: unexpected character 'x'"},
		"bad code unit":      {image(`"imageUri":"\ud83d\u12g4"`), "image 1, byte 114, field imageUri: unexpected character 'g'"},
		"control character":  {image("\"imageUri\":\"\\n\t\""), "image 1, byte 106, field imageUri: unexpected character '\\t'"},
		"escaped name twice": {image(`"\u0069d":"` + idB + `"`), "image 1, byte 92, field id: the field is there twice"},
		"nulls twice":        {image(`"width":null,"width":null`), "image 1, byte 105, field width: the field is there twice"},
		"half a null":        {image(`"width":nul,"height":1`), "image 1, byte 103, field width: unexpected character ','"},
		"bad unknown field":  {image(`"new":[1,{"a":tru}]`), "image 1, byte 109, field new: unexpected character '}'"},
		"unknown in a box":   {prediction(`"boundingBox":{"new":.5}`), "image 1, byte 194, field predictions[1].boundingBox.new: unexpected character '.'"},
		"too deep":           {image(`"new":` + strings.Repeat("[", maxDepth)), "image 1, byte 92, field new: nested deeper than 10000 levels"},
		"name too long":      {prediction(`"tagName":"` + strings.Repeat("x", schema.MaxText+1) + `"`), "field predictions[1].tagName: the text has 65537 bytes, more than the limit of 65536"},
		"null in a list":     {image(`"tags":[null]`), "image 1, byte 100, field tags[0]: want an object, got null"},
		"zero tag id":        {image(`"tags":[{"tagId":"00000000-0000-0000-0000-000000000000"}]`), "image 1, byte 101, field tags[0].tagId: the id is all zeros"},
		"tag id of zeros":    {image(`"tags":[{"tagId":"` + strings.Repeat("\x00", 36) + `"}]`), "image 1, byte 110, field tags[0].tagId: unexpected character '\\x00'"},
		"exponent":           {prediction(`"probability":1e+`), "image 1, byte 190, field predictions[1].probability: unexpected character '}'"},
		"width is a minus":   {image(`"width":-`), "image 1, byte 101, field width: unexpected character '}'"},
		"width with a point": {image(`"width":1.`), "image 1, byte 102, field width: unexpected character '}'"},
		"more after the end": {`[] []`, "byte 3: unexpected data after the end"},
		"an end cut off":     {`[][[],`, "byte 2: unexpected data after the end"},
		"a letter after it":  {`[] x`, "byte 3: unexpected data after the end"},
		"bad utf-8":          {image(`"imageUri":"` + "\xff" + `"`), "image 1, byte 104, field imageUri: the bytes are not valid utf-8"},
		"missing id":         {`[{"width":1}]`, "image 0, byte 1: the required field id is missing"},
		"null id":            {`[{"id":null}]`, "the required field id is missing"},
		"zero id":            {`[{"id":"00000000-0000-0000-0000-000000000000"}]`, "all zeros"},
		"id leaves the path": {`[{"id":"../../../../../../../../../../../etc"}]`, "is not a uuid"},
		"id is a number":     {`[{"id":5}]`, "want a string, got a number"},
		"image is a number":  {`[5]`, "image 0, byte 1: want an object, got a number"},
		"id twice":           {image(`"id":"` + idB + `"`), "image 1, byte 92, field id: the field is there twice"},
		"list twice":         {image(`"tags":[],"tags":[]`), "field tags: the field is there twice"},
		"width too large":    {image(`"width":2147483648`), "image 1, byte 92, field width: 2147483648 does not fit 32 bits"},
		"width not whole":    {image(`"width":1.5`), "1.5 is not a whole number"},
		"negative width":     {image(`"width":-1`), "cannot be negative"},
		"width is text":      {image(`"width":"816"`), "field width: want a number, got a string"},
		"half a time":        {image(`"created":"2020-02-11T16`), "image 1, byte 118, field created: the page is cut off"},
		"time broken inside": {image(`"created":{"a":tru}`), "image 1, byte 110, field created: unexpected character '}'"},
		"no probability":     {prediction(`"tagId":"` + tag + `"`), "field predictions[1]: the required field probability is missing"},
		"no tag id":          {prediction(`"probability":0.5`), "field predictions[1]: the required field tagId is missing"},
		"infinite":           {prediction(`"tagId":"` + tag + `","probability":1e999`), "field predictions[1].probability: 1e999 does not fit a double"},
		"not a number":       {prediction(`"probability":NaN`), "image 1, byte 187, field predictions[1].probability: unexpected character 'N'"},
		"number as text":     {prediction(`"probability":"1"`), "want a number, got a string"},
		"above 1":            {prediction(`"tagId":"` + tag + `","probability":1.0000001`), "image 1, byte 220, field predictions[1].probability: 1.0000001 is not a probability, which is 0 to 1"},
		"below 0":            {prediction(`"tagId":"` + tag + `","probability":-1e-9`), "field predictions[1].probability: -1e-09 is not a probability, which is 0 to 1"},
		"NaN as text":        {prediction(`"tagId":"` + tag + `","probability":"NaN"`), "field predictions[1].probability: want a number, got a string"},
		"leading zero":       {prediction(`"probability":01`), "image 1, byte 188, field predictions[1].probability: unexpected character '1'"},
		"box without a side": {prediction(`"tagId":"` + tag + `","probability":1,"boundingBox":{"left":0,"top":0,"width":1}`), "field predictions[1].boundingBox: the required field height is missing"},
		"box side null":      {prediction(`"tagId":"` + tag + `","probability":1,"boundingBox":{"left":null,"top":0,"width":1,"height":1}`), "the required field left is missing"},
		"box far away":       {prediction(`"tagId":"` + tag + `","probability":1,"boundingBox":{"left":-1e3,"top":1000.1,"width":1,"height":1}`), "field predictions[1].boundingBox.top: 1000.1 is not a fraction of the image's size, which is at most 1000"},
		"box too large":      {prediction(`"tagId":"` + tag + `","probability":1,"boundingBox":{"left":0,"top":0,"width":1,"height":1e154}`), "field predictions[1].boundingBox.height: 1e+154 is not a fraction of the image's size"},
		"box is a list":      {prediction(`"boundingBox":[]`), "image 1, byte 173, field predictions[1].boundingBox: want an object, got an array"},
		"region without id":  {image(`"regions":[{"tagId":"` + tag + `","left":0,"top":0,"width":1,"height":1}]`), "field regions[0]: the required field regionId is missing"},
		"predictions object": {image(`"predictions":{}`), "image 1, byte 92, field predictions: want an array, got an object"},
	} {
		t.Run(name, func(t *testing.T) {
			records, err := decode(t, Options{}, tc.body, nil)
			if err == nil {
				t.Fatalf("decoded to %v", decodedRows(records))
			}
			if located := new(Error); !errors.As(err, &located) {
				t.Errorf("%T is not an *Error", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
		})
	}
}

// Whatever byte a page ends before or is broken at, the error names that byte.
func TestErrorOffset(t *testing.T) {
	body := `[{"predictions":[{"probability":0.901985943,"tagId":"` + tag + `","tagName":"Schere \u2702 \"x\"","boundingBox":{"left":1.5E-3,"top":-0.5,"width":1.0,"height":0.66622499}},
		{"probability":0.25,"tagId":"` + tag + `","tagName":null,"boundingBox":{"left":0.0,"top":0.5,"width":1.0,"height":0.6662499} } ],
		"id":"` + idA + `","created":"2020-02-11T16:43:08.98791","new":[true,false,{"\ud83d\ude00":null}],"width":816,"height":612}]`
	d := NewDecoder(Options{ExportID: exportID})
	for range 2 { // the second time it knows the order of the fields
		for i := 1; i < len(body); i++ {
			var located *Error
			_, err := d.Decode([]byte(body[:i]), 0, nil)
			if !errors.As(err, &located) || located.Offset != i || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v", body[:i], err)
			}
			broken := body[:i] + "\x01" + body[i+1:]
			_, err = d.Decode([]byte(broken), 0, nil)
			if !errors.As(err, &located) || located.Offset != i || !strings.HasSuffix(err.Error(), `unexpected character '\x01'`) {
				t.Errorf("%q: %v", broken, err)
			}
		}
		records, err := d.Decode([]byte(body), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		records.Release()
	}
}

// Of an image that is left out, only the syntax and the id are read.
func TestDecodeLeftOutImages(t *testing.T) {
	none := func(schema.ID) bool { return false }
	for name, tc := range map[string]struct{ first, want string }{
		"wrong types": {`{"width":"x","id":"` + idA + `","new":{"id":1},"tags":[{}]}`, ""},
		"no id":       {`{"width":1}`, "image 0, byte 1: the required field id is missing"},
		"null id":     {`{"id":null}`, "image 0, byte 1: the required field id is missing"},
		"number":      {`{"id":1}`, "image 0, byte 2, field id: want a string, got a number"},
		"id twice":    {`{"id":"` + idA + `","id":null}`, "image 0, byte 46, field id: the field is there twice"},
		"id and null": {`{"id":null,"id":"` + idA + `"}`, "image 0, byte 12, field id: the field is there twice"},
		"syntax":      {`{"id":"` + idA + `","tags":[{]}`, "image 0, byte 55, field tags: unexpected character ']'"},
		"no image":    {`null`, "image 0, byte 1: want an object, got null"},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(Options{ExportID: exportID})
			records, err := d.Decode([]byte(`[`+tc.first+`,{"id":"`+idB+`","new":1}]`), 1, none)
			switch {
			case tc.want != "":
				if err == nil || err.Error() != tc.want {
					t.Errorf("error %v, want %s", err, tc.want)
				}
			case err != nil:
				t.Error(err)
			case records.Images.NumRows() != 1 || len(records.IDs) != 2 || records.Repeated != 1 || records.Tags.NumRows() != 0 || !cmp.Equal(records.Unknown, map[string]int{"new": 1}):
				t.Errorf("%+v", records)
			}
		})
	}
}

func TestDecodeBoundsThePage(t *testing.T) {
	d := NewDecoder(Options{ExportID: exportID})
	if d.maxPage != math.MaxInt32 {
		t.Errorf("a page may have %d bytes", d.maxPage)
	}
	d.maxPage = 10
	var located *Error
	if _, err := d.Decode([]byte("[         ]"), 0, nil); !errors.As(err, &located) || located.Image != -1 || !strings.Contains(err.Error(), "the page has 11 bytes, more than the 10 that Arrow's offsets can count") {
		t.Errorf("error %v", err)
	}
	records, err := d.Decode([]byte("[        ]"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	records.Release()
}

// brokenAllocator panics when its allocations are used up.
type brokenAllocator struct {
	memory.Allocator
	left int
}

func (a *brokenAllocator) Allocate(size int) []byte {
	if a.left--; a.left < 0 {
		panic("out of memory")
	}
	return a.Allocator.Allocate(size)
}

// A panic in Arrow is an error, and the decoder is fit for the next page.
func TestArrowPanics(t *testing.T) {
	body := []byte(`[{"id":"` + idA + `","tags":[{"tagId":"` + tag + `"}],"predictions":[{"probability":1,"tagId":"` + tag + `"}]}]`)
	broken := &brokenAllocator{Allocator: memory.DefaultAllocator}
	d := NewDecoder(Options{ExportID: exportID, Memory: broken})
	panics := 0
	for ; ; panics++ {
		broken.left = panics
		records, err := d.Decode(body, 0, nil)
		if err == nil {
			if records.Images.NumRows() != 1 || records.Predictions.NumRows() != 1 || records.Tags.NumRows() != 1 {
				t.Errorf("%+v", records)
			}
			records.Release()
			break
		}
		var located *Error
		if !errors.As(err, &located) || located.Image != -1 || !strings.Contains(err.Error(), "arrow panicked: out of memory") {
			t.Fatalf("%T: %v", err, err)
		}
	}
	if panics < 10 {
		t.Errorf("only %d allocations failed", panics)
	}
	broken.left = 0
	name := "x"
	if record, err := TagPerformances(broken, exportID, []TagPerformance{{Name: &name}}); err == nil || record != nil {
		t.Errorf("record %v, error %v", record, err)
	}
}

// A page that fails must leave the decoder fit for the next one.
func TestDecodeAfterFailure(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	d := NewDecoder(Options{ExportID: exportID, Memory: mem})
	good := `[{"id":"` + idA + `","predictions":[{"probability":1,"tagId":"` + tag + `"}]}]`
	for _, bad := range []string{good[:len(good)-8], `[{"predictions":[{"probability":1,"tagId":"` + tag + `"}]}]`} {
		if _, err := d.Decode([]byte(bad), 0, nil); err == nil {
			t.Fatalf("%s was decoded", bad)
		}
		records, err := d.Decode([]byte(good), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if records.Images.NumRows() != 1 || records.Predictions.NumRows() != 1 {
			t.Errorf("after a failure: %d images, %d predictions", records.Images.NumRows(), records.Predictions.NumRows())
		}
		records.Release()
	}
}

func TestNumberImages(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	d := NewDecoder(Options{ExportID: exportID, Memory: mem})
	records, err := d.Decode([]byte(`[{"id":"`+idA+`"},{"id":"`+idB+`"}]`), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Release()
	if err := records.NumberImages(mem, 256); err != nil {
		t.Fatal(err)
	}
	rows := decodedRows(records)["images"]
	if rows[0]["image_index"] != int32(256) || rows[1]["image_index"] != int32(257) {
		t.Errorf("rows = %v", rows)
	}
}
