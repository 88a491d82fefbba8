package load

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func doubles(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for range n {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(random.Float64()))
	}
	return b
}

// Whatever a page holds, zstd gives it back; doubles get smaller too.
func TestPageCodec(t *testing.T) {
	reader, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	half := doubles(16 << 10)
	tests := map[string]struct {
		page []byte
		most float64 // of its size that may be left
	}{
		"empty":            {nil, 0},
		"a byte":           {[]byte{7}, 20},
		"doubles":          {doubles(32 << 10), 0.945},
		"few doubles":      {doubles(1000), 1.01},
		"zeros":            {make([]byte, 256<<10), 0.001},
		"noise":            {noise(256 << 10), 1.001},
		"text":             {[]byte(strings.Repeat("one and the same text ", 10_000)), 0.01},
		"doubles, twice":   {append(bytes.Clone(half), half...), 0.945}, // what is that far apart is not met
		"doubles and text": {append(bytes.Clone(half), strings.Repeat("text ", 30_000)...), 0.5},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			packed := pageCodec{}.EncodeLevel([]byte("what the buffer held"), tc.page, 0)
			if got, err := reader.DecodeAll(packed, nil); err != nil || !bytes.Equal(got, tc.page) {
				t.Fatalf("%d bytes come back as %d, %v", len(tc.page), len(got), err)
			}
			if len(tc.page) > 0 && float64(len(packed)) > tc.most*float64(len(tc.page)) {
				t.Errorf("%d bytes are packed in %d", len(tc.page), len(packed))
			}
		})
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// FuzzLiterals: zstd reads what is coded byte by byte.
func FuzzLiterals(f *testing.F) {
	for _, seed := range [][]byte{nil, {1}, make([]byte, 70_000), doubles(1000), []byte("text")} {
		f.Add(seed, uint16(1))
	}
	reader, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, page []byte, times uint16) {
		page = bytes.Repeat(page, int(times%4))
		got, err := reader.DecodeAll(appendLiterals(nil, page), nil)
		if err != nil || !bytes.Equal(got, page) {
			t.Errorf("%d bytes come back as %d, %v", len(page), len(got), err)
		}
	})
}
