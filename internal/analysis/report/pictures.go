package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif"
	"image/jpeg"
	_ "image/png"
	"math"
	"os"
	"path/filepath"
	"strings"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/cvexport/cvexport/internal/regular"
)

// Pictures returns the picture of an image, as JPEG, PNG, GIF or BMP. The error is
// ErrNoPicture if there is none; no error may contain an address, which can hold an
// access token.
type Pictures func(ctx context.Context, of Recorded) ([]byte, error)

// Recorded is what a warehouse says of an image's picture.
type Recorded struct {
	ID                     string
	ImageURI, ThumbnailURI string // where the service keeps it; may be empty
	EndpointHost           string // the service's host, perhaps with a port
}

// ErrNoPicture is the error for an image that has no picture.
var ErrNoPicture = errors.New("there is no picture")

// Folder returns the pictures in a folder: ID.jpg, .jpeg, .png, .gif or .bmp.
func Folder(path string) (Pictures, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of pictures: %w", err)
	}
	files := map[string]string{} // by image id in lower case
	for _, e := range entries {
		extension := filepath.Ext(e.Name())
		switch strings.ToLower(extension) {
		case ".jpg", ".jpeg", ".png", ".gif", ".bmp":
			files[strings.ToLower(strings.TrimSuffix(e.Name(), extension))] = filepath.Join(path, e.Name())
		}
	}
	return func(_ context.Context, of Recorded) ([]byte, error) {
		file, ok := files[strings.ToLower(of.ID)]
		if !ok {
			return nil, ErrNoPicture
		}
		return regular.Read(file, maxPictureBytes)
	}, nil
}

// Limits that keep a page small enough to be mailed.
const (
	pictureSide  = 320       // pixels, of an embedded picture
	pictureBytes = 2_000_000 // of all pictures, before base64 adds a third
)

// DefaultPictureMemory bounds the memory that opening pictures takes, of all that are open
// at once, in MiB. It is enough for a JPEG of 89 megapixels, or of 16 if it is progressive,
// and for a PNG of 33. A picture that needs more is not opened.
const DefaultPictureMemory = 256

const (
	picturesAtOnce = 8
	maxSide        = 1 << 17 // pixels of an original: its area fits 64 bits
)

// addPictures adds pictures to the page's images, to the most visible ones first. The
// page draws the other images as outlines, and a note says how many there are.
func (l *loader) addPictures(pictures Pictures, mebibytes int) error {
	order := l.page.byVisibility()
	found := make([][]byte, len(l.page.Images))
	memory := newMemory(mebibytes)
	failed := make([]error, len(l.page.Images))
	group, ctx := errgroup.WithContext(l.ctx)
	group.SetLimit(picturesAtOnce)
	for _, at := range order {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			i := l.page.Images[at]
			b, err := pictures(ctx, Recorded{i.ID, l.uris[at].image, l.uris[at].thumbnail, l.shown().endpoint})
			if err == nil {
				b, err = memory.shrink(ctx, b, i.Width, i.Height)
			}
			found[at], failed[at] = b, err
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("collecting pictures: %w", err)
	}
	shown, size, missing, broken, omitted := 0, 0, 0, 0, 0
	var firstErr error
	for _, at := range order {
		switch {
		case errors.Is(failed[at], ErrNoPicture):
			missing++
		case failed[at] != nil:
			broken++
			if firstErr == nil {
				firstErr = failed[at]
			}
		case size+len(found[at]) > pictureBytes:
			omitted++
		default:
			shown++
			size += len(found[at])
			l.page.Images[at].Picture = "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(found[at])
		}
	}
	note := fmt.Sprintf("Pictures: %d of the %d images in the lists have one", shown, len(order))
	for _, part := range []struct {
		n    int
		text string
	}{{missing, "have none"}, {omitted, "were left out to keep the file small"}, {broken, "failed"}} {
		if part.n > 0 {
			note += fmt.Sprintf("; %d %s", part.n, part.text)
		}
	}
	if firstErr != nil {
		note += fmt.Sprintf(" (such as: %v)", firstErr)
		l.page.Warning = fmt.Errorf("%d of the %d pictures failed: %w", broken, len(order), firstErr)
	}
	l.page.Notes = append(l.page.Notes, note+".")
	return nil
}

// byVisibility returns the positions of the listed images, beginning with those that
// are listed where the slider starts, then at thresholds ever farther from it.
func (p *Page) byVisibility() []int {
	var order []int
	seen := make([]bool, len(p.Images))
	for distance := range p.Thresholds {
		for _, t := range []int{p.Start - distance, p.Start + distance} {
			if t < 0 || t >= len(p.Thresholds) {
				continue
			}
			var c changes
			if len(p.Changes) > 0 {
				c = p.Changes[t]
			}
			for n := range listLength {
				for _, list := range [][][]any{p.Hardest[t], p.Suspects, c.Broken, c.Fixed} {
					if n >= len(list) {
						continue
					}
					if at := list[n][0].(int); !seen[at] {
						seen[at] = true
						order = append(order, at)
					}
				}
			}
		}
	}
	return order
}

// pictureMemory is the memory for opening pictures.
type pictureMemory struct {
	free  *semaphore.Weighted
	bytes int64
}

func newMemory(mebibytes int) pictureMemory {
	bytes := int64(cmp.Or(mebibytes, DefaultPictureMemory)) << 20
	return pictureMemory{semaphore.NewWeighted(bytes), bytes}
}

// needs returns how much memory opening a picture takes. A progressive JPEG is kept as
// coefficients of four bytes each, up to four for a pixel, until all of it was read.
func needs(config image.Config, format string, b []byte) int64 {
	pixels := int64(config.Width) * int64(config.Height)
	switch {
	case format == "jpeg" && progressive(b):
		return 16 * pixels
	case format == "jpeg" && config.ColorModel == color.CMYKModel:
		return 8 * pixels
	case format == "jpeg":
		return 3 * pixels
	case config.ColorModel == color.RGBA64Model || config.ColorModel == color.NRGBA64Model:
		return 16 * pixels // the passes of an interlaced PNG come on top of the whole
	}
	return 8 * pixels
}

// progressive reports whether a JPEG is, by the marker of its frame.
func progressive(b []byte) bool {
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		switch marker := b[at+1]; {
		case marker == 0xc2:
			return true
		case marker == 0xc0 || marker == 0xc1:
			return false
		case marker == 0xff: // fills
			at++
			continue
		}
		at += 2 + int(b[at+2])<<8 + int(b[at+3])
	}
	return true // not seen, so it may be
}

// shrink converts a picture to a small JPEG. It refuses a picture of another shape than
// the image, because boxes would be in wrong places on it. It looks at the size that the
// picture says it has before it opens it, and waits for memory.
func (m pictureMemory) shrink(ctx context.Context, b []byte, width, height *int64) ([]byte, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading a picture: %w", err)
	}
	if config.Width <= 0 || config.Height <= 0 {
		return nil, fmt.Errorf("a picture has %d x %d pixels", config.Width, config.Height)
	}
	if config.Width > maxSide || config.Height > maxSide || needs(config, format, b) > m.bytes {
		return nil, fmt.Errorf("a picture has %d x %d pixels, which take more than %d MiB to open: make it smaller, or raise --picture-memory", config.Width, config.Height, m.bytes>>20)
	}
	if width != nil && height != nil && *width > 0 && *height > 0 {
		want, have := float64(*width)/float64(*height), float64(config.Width)/float64(config.Height)
		if math.Abs(want/have-1) > 0.05 {
			return nil, fmt.Errorf("a picture has another shape, %d x %d, than its image, %d x %d", config.Width, config.Height, *width, *height)
		}
	}
	need := needs(config, format, b)
	if err := m.free.Acquire(ctx, need); err != nil {
		return nil, err
	}
	defer m.free.Release(need)
	picture, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading a picture: %w", err)
	}
	scale := min(1, float64(pictureSide)/float64(max(config.Width, config.Height)))
	small := image.NewRGBA(image.Rect(0, 0, max(1, int(float64(config.Width)*scale)), max(1, int(float64(config.Height)*scale))))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src)
	draw.BiLinear.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 65}); err != nil {
		return nil, fmt.Errorf("writing a picture: %w", err)
	}
	return out.Bytes(), nil
}
