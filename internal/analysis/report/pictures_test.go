package report

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// noise returns a picture that does not compress.
func noise(t *testing.T, width, height int, ending string) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range picture.Pix {
		picture.Pix[i] = byte(r.Uint32())
	}
	picture.Set(0, 0, color.Black)
	var b bytes.Buffer
	var err error
	if ending == ".png" {
		err = png.Encode(&b, picture)
	} else {
		err = jpeg.Encode(&b, picture, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFolderOfPictures(t *testing.T) {
	if testing.Short() {
		t.Skip("it shrinks hundreds of pictures")
	}
	root := exported.Warehouse(t, simulated.Config{Seed: 1, Kind: simulated.Detection, Images: 300, Iterations: 2})
	exported.Rewrite(t, root, "images", "1280::INTEGER AS width", "960::INTEGER AS height")
	plain := loadPage(t, root, Options{})
	if len(plain.Images) < 100 {
		t.Fatalf("the lists have only %d images", len(plain.Images))
	}
	order := plain.byVisibility()
	folder := t.TempDir()
	whole := noise(t, 400, 300, ".png")
	for place, at := range order {
		i := plain.Images[at]
		b, name := whole, strings.ToUpper(i.ID)+".png"
		switch place {
		case 0:
			continue // none
		case 1:
			b, name = noise(t, 30, 300, ".jpg"), i.ID+".jpeg" // of another shape
		case 2:
			b = []byte("no picture at all")
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pictures, err := Folder(folder)
	if err != nil {
		t.Fatal(err)
	}
	page := loadPage(t, root, Options{Pictures: pictures})
	size := 0
	for place, at := range order {
		i := page.Images[at]
		text, ok := strings.CutPrefix(i.Picture, "data:image/jpeg;base64,")
		if place < 3 {
			if ok {
				t.Errorf("image %d of the lists has a picture", place)
			}
			continue
		}
		if !ok {
			if place < 60 {
				t.Errorf("image %d of the lists has no picture", place)
			}
			continue
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		size += len(b)
		small, err := jpeg.DecodeConfig(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if side := max(small.Width, small.Height); side > pictureSide {
			t.Errorf("a picture has a side of %d pixels", side)
		}
	}
	if size > pictureBytes || size < pictureBytes*9/10 {
		t.Errorf("all pictures have %d bytes", size)
	}
	note := page.Notes[len(page.Notes)-1]
	for _, want := range []string{"1 have none", "2 failed", "were left out to keep the file small"} {
		if !strings.Contains(note, want) {
			t.Errorf("the note %q does not say %q", note, want)
		}
	}
	if page.Warning == nil || !strings.HasPrefix(page.Warning.Error(), "2 of the ") {
		t.Errorf("the warning is %v", page.Warning)
	}
	if _, err := Folder(filepath.Join(folder, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// A picture is opened only if that takes no more memory than there may be, by the size
// that it says it has.
func TestPictureMemory(t *testing.T) {
	encode := func(f func(io.Writer, image.Image) error) []byte {
		var b bytes.Buffer
		if err := f(&b, image.NewGray(image.Rect(0, 0, 64, 48))); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	asPNG := encode(png.Encode)
	asJPEG := encode(func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })
	frame := bytes.Index(asJPEG, []byte{0xff, 0xc0})
	huge := func(b []byte, at int, size []byte) []byte {
		b = slices.Clone(b)
		copy(b[at:], size)
		return b
	}
	hugePNG := huge(asPNG, 16, []byte{0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff})
	binary.BigEndian.PutUint32(hugePNG[29:], crc32.ChecksumIEEE(hugePNG[12:29]))
	progressiveJPEG := huge(huge(asJPEG, frame+5, []byte{0x20, 0, 0x20, 0}), frame+1, []byte{0xc2})
	memory := newMemory(0)
	for name, tc := range map[string]struct {
		picture []byte
		want    string
	}{
		"a small PNG":       {asPNG, ""},
		"a small JPEG":      {asJPEG, ""},
		"a huge PNG":        {hugePNG, "a picture has 32767 x 32767 pixels, which take more than 256 MiB"},
		"a huge JPEG":       {huge(asJPEG, frame+5, []byte{0xff, 0xff, 0xff, 0xff}), "65535 x 65535 pixels"},
		"a progressive one": {progressiveJPEG, "8192 x 8192 pixels"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := memory.shrink(t.Context(), tc.picture, nil, nil)
		runtime.ReadMemStats(&after)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: it took %d MiB", name, took>>20)
		}
	}
}
