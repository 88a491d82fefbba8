package verdict

import (
	"math"
	"slices"
	"testing"
)

func TestJudge(t *testing.T) {
	fixed, broken := Image{Fixed: 1}, Image{Broken: 1}
	for name, tc := range map[string]struct {
		images []Image
		f1     float64
		want   Verdict
	}{
		"nothing":                    {nil, 0, Verdict{TooFew, 1, 0, 0, 0}},
		"five":                       {slices.Repeat([]Image{fixed}, 5), 0.1, Verdict{TooFew, 2.0 / 32, 5, 5, 0}},
		"six":                        {slices.Repeat([]Image{fixed}, 6), 0.1, Verdict{Better, 2.0 / 64, 6, 6, 0}},
		"six broken":                 {slices.Repeat([]Image{broken}, 6), -0.1, Verdict{Worse, 2.0 / 64, 6, 0, 6}},
		"F1 went the other way":      {slices.Repeat([]Image{fixed}, 6), -0.1, Verdict{Mixed, 2.0 / 64, 6, 6, 0}},
		"F1 went the other way, too": {slices.Repeat([]Image{broken}, 6), 0.1, Verdict{Mixed, 2.0 / 64, 6, 0, 6}},
		"F1 stayed":                  {slices.Repeat([]Image{fixed}, 6), 0, Verdict{Better, 2.0 / 64, 6, 6, 0}},
		"one of seven broken":        {append(slices.Repeat([]Image{fixed}, 6), broken), 0.1, Verdict{Unclear, 16.0 / 128, 7, 6, 1}},
		// Many cases of one image are one image's difference.
		"one image":          {[]Image{{Fixed: 100}}, 0.5, Verdict{TooFew, 1, 1, 100, 0}},
		"a case for another": {slices.Repeat([]Image{{Fixed: 2, Broken: 2}}, 9), 0, Verdict{TooFew, 1, 0, 18, 18}},
		// Only all signs alike make a sum of 10.
		"one large, six small": {append(slices.Repeat([]Image{fixed}, 6), Image{Fixed: 4}), 0.1, Verdict{Better, 2.0 / 128, 7, 10, 0}},
	} {
		got := Judge(tc.images, tc.f1)
		if math.Abs(got.P-tc.want.P) > 1e-12 {
			t.Errorf("%s: p = %v, want %v", name, got.P, tc.want.P)
		}
		got.P = tc.want.P
		if got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}
