// Package verdict says whether an iteration is better than another, on the images that
// both were evaluated on.
package verdict

import "github.com/cvexport/cvexport/internal/analysis/signflip"

// Level is how likely chance alone may make a difference that is called one.
const Level = 0.05

// Fewest is how many images must differ for a verdict. With fewer, no result has a
// probability of Level or less: with five, the least is 2 of 32.
const Fewest = 6

// Word is what a verdict comes to.
type Word string

// The words.
const (
	Better  Word = "better"  // more is fixed than broken, and not by chance
	Worse   Word = "worse"   // more is broken than fixed, and not by chance
	Mixed   Word = "mixed"   // one of the two, but F1 went the other way
	Unclear Word = "unclear" // chance alone may have made the difference
	TooFew  Word = "few"     // fewer than Fewest images differ
)

// Image is how many cases of an image are fixed and broken, as the function
// iteration_changes has them. A case is a tag on an image.
type Image struct{ Fixed, Broken int }

// Query returns the query for the images with a case that is fixed or broken, with the
// columns fixed and broken. changes is a call of iteration_changes with its arguments.
func Query(changes string) string {
	return `SELECT COUNT(*) FILTER (change = 'fixed') AS fixed, COUNT(*) FILTER (change = 'broken') AS broken
FROM ` + changes + ` WHERE change IN ('fixed', 'broken') GROUP BY image_id`
}

// Verdict is a verdict, with what it is made of.
type Verdict struct {
	Word   Word    `json:"word"`
	P      float64 `json:"p"`      // how likely chance alone makes a difference as large, either way
	Differ int     `json:"differ"` // images of which more is fixed than broken, or less
	Fixed  int     `json:"fixed"`  // cases
	Broken int     `json:"broken"`
}

// Judge compares the cases that are fixed with those that are broken by the exact
// sign-flip test of each image's difference. The cases of one image are not independent
// of each other; images are. f1Change is how much F1 changed on the images of both.
//
// Images without such a case may be left out.
func Judge(images []Image, f1Change float64) (v Verdict) {
	var differences []int
	for _, i := range images {
		v.Fixed += i.Fixed
		v.Broken += i.Broken
		differences = append(differences, i.Fixed-i.Broken)
	}
	test := signflip.Test(differences)
	v.P, v.Differ = test.P, test.Differ
	better := v.Fixed > v.Broken
	switch {
	case v.Differ < Fewest:
		v.Word = TooFew
	case v.P > Level:
		v.Word = Unclear
	case better && f1Change < 0 || !better && f1Change > 0:
		v.Word = Mixed
	case better:
		v.Word = Better
	default:
		v.Word = Worse
	}
	return v
}
