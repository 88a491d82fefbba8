package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	_ "image/gif"
	"image/jpeg"
	_ "image/png"
	"math"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/sync/errgroup"
)

// Pictures finds the picture of an image: its bytes as JPEG, PNG, GIF or BMP.
// ErrNoPicture says that there is none; any other error is about this one, and
// must not tell an address, which may hold an access token.
type Pictures interface {
	Picture(ctx context.Context, id, imageURI, thumbnailURI string) ([]byte, error)
}

// ErrNoPicture is for an image that has no picture.
var ErrNoPicture = errors.New("there is no picture")

// A page stays small enough to be mailed.
const (
	pictureSide   = 320       // pixels at most, as it is embedded
	pictureBytes  = 2_000_000 // of all pictures, before base64 makes a third more of them
	picturePixels = 60_000_000
	atOnce        = 8
)

// addPictures adds the pictures of the page's images, those first that are seen
// first. What has none is drawn as an outline, and a note says how many are.
func (l *loader) addPictures(pictures Pictures) error {
	order := l.page.seenFirst()
	found := make([][]byte, len(l.page.Images))
	failed := make([]error, len(l.page.Images))
	group, ctx := errgroup.WithContext(l.ctx)
	group.SetLimit(atOnce)
	for _, at := range order {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			i := l.page.Images[at]
			b, err := pictures.Picture(ctx, i.ID, l.uris[at].image, l.uris[at].thumbnail)
			if err == nil {
				b, err = shrink(b, i.Width, i.Height)
			}
			found[at], failed[at] = b, err
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("collecting pictures: %w", err)
	}
	shown, size, missing, broken, tooMuch := 0, 0, 0, 0, 0
	var why error
	for _, at := range order {
		switch {
		case errors.Is(failed[at], ErrNoPicture):
			missing++
		case failed[at] != nil:
			broken++
			if why == nil {
				why = failed[at]
			}
		case size+len(found[at]) > pictureBytes:
			tooMuch++
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
	}{{missing, "have none"}, {tooMuch, "were left out to keep the file small"}, {broken, "failed"}} {
		if part.n > 0 {
			note += fmt.Sprintf("; %d %s", part.n, part.text)
		}
	}
	if why != nil {
		note += fmt.Sprintf(" (such as: %v)", why)
		l.page.Warning = fmt.Errorf("%d of the %d pictures failed: %w", broken, len(order), why)
	}
	l.page.Notes = append(l.page.Notes, note+".")
	return nil
}

// seenFirst are the places of the page's images, those first that are seen where
// the slider starts, then those near it.
func (p *Page) seenFirst() []int {
	var order []int
	seen := make([]bool, len(p.Images))
	add := func(at any) {
		if n := at.(int); !seen[n] {
			seen[n] = true
			order = append(order, n)
		}
	}
	for away := range p.Thresholds {
		for _, t := range []int{p.Start - away, p.Start + away} {
			if t < 0 || t >= len(p.Thresholds) {
				continue
			}
			for place := range listLength {
				if place < len(p.Hardest[t]) {
					add(p.Hardest[t][place][0])
				}
				if place < len(p.Suspects[t]) {
					add(p.Suspects[t][place][0])
				}
				if len(p.Changes) > 0 && place < len(p.Changes[t].Broken) {
					add(p.Changes[t].Broken[place][0])
				}
				if len(p.Changes) > 0 && place < len(p.Changes[t].Fixed) {
					add(p.Changes[t].Fixed[place][0])
				}
			}
		}
	}
	return order
}

// shrink makes a small JPEG of a picture. One of another shape than the image is
// refused: boxes would be at wrong places on it.
func shrink(b []byte, width, height *int64) ([]byte, error) {
	config, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading a picture: %w", err)
	}
	if config.Width <= 0 || config.Height <= 0 || config.Width*config.Height > picturePixels {
		return nil, fmt.Errorf("a picture has %d x %d pixels", config.Width, config.Height)
	}
	if width != nil && height != nil && *width > 0 && *height > 0 {
		want, have := float64(*width)/float64(*height), float64(config.Width)/float64(config.Height)
		if math.Abs(want/have-1) > 0.05 {
			return nil, fmt.Errorf("a picture has another shape, %d x %d, than its image, %d x %d", config.Width, config.Height, *width, *height)
		}
	}
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
