// Package signflip is the exact sign-flip test of paired differences, also known as
// Fisher's randomization test: whether two things that were measured on the same units
// differ by more than chance explains.
//
// The null hypothesis is that the two are exchangeable: each unit's difference is as
// likely to be d as -d, and units are independent. The statistic is the sum of the
// differences. Given their sizes, its distribution is that of the sum of ±|d| with
// independent fair signs, so that the test is exact whatever the differences are
// distributed like. If all have the size 1, it is the sign test (McNemar's exact test).
package signflip

import "math"

// Result is the result of a test.
type Result struct {
	P      float64 // two-sided: how likely the null hypothesis makes a sum at least as far from 0
	Differ int     // differences that are not 0; the others say nothing
}

// Test tests differences, one a unit. P is exact but for rounding, by less than 1e-12;
// so far below that it may be 0.
//
// It takes time in proportion to the sum of their sizes: with 10,000 differences of up to
// 300, a tenth of a second.
func Test(differences []int) Result {
	count := map[int]int{} // of each size
	sum, total, unit, differ := 0, 0, 0, 0
	for _, d := range differences {
		if d == 0 {
			continue
		}
		size := max(d, -d)
		count[size]++
		sum, total, unit, differ = sum+d, total+size, divisor(unit, size), differ+1
	}
	if sum == 0 {
		return Result{1, differ}
	}
	var sizes []group
	for size, n := range count {
		sizes = append(sizes, group{size / unit, n})
	}
	return Result{1 - nearer(sizes, total/unit, max(sum, -sum)/unit), differ}
}

// group is how many differences have a size.
type group struct{ size, count int }

// nearer returns how likely the sum of the sizes with random signs is nearer to 0 than
// far, which is above 0 and has the parity of the sizes' total.
//
// The sum takes total+1 places at most, each 2 from the next. So the convolution of its
// terms' distributions is a product of cosines, and its probabilities are the inverse
// discrete Fourier transform of that at total+1 points, which is finite: there is no
// approximation in it. The places that are nearer than far add up to a Dirichlet kernel.
func nearer(sizes []group, total, far int) float64 {
	points := total + 1
	p := float64(far - 1) // of point 0
	for k := 1; 2*k <= points; k++ {
		magnitude, negative := 0.0, false // logarithm and sign of the product
		for _, g := range sizes {
			turn := (g.size * k) % (2 * points) // in 1/points of a half turn
			sine := math.Sin(math.Pi * float64(turn) / float64(points))
			magnitude += float64(g.count) / 2 * math.Log1p(-sine*sine) // of |cos|, precise near 1
			if 2*turn > points && 2*turn < 3*points && g.count%2 == 1 {
				negative = !negative
			}
			if magnitude < -50 {
				break // less than 1e-21
			}
		}
		if magnitude < -50 {
			continue
		}
		product := math.Exp(magnitude)
		if negative {
			product = -product
		}
		half := math.Pi * float64(k) / float64(points)
		// Reduced, as a large angle would be imprecise.
		term := product * math.Sin(math.Pi*float64((far-1)*k%(2*points))/float64(points)) / math.Sin(half)
		if 2*k < points {
			term *= 2 // points-k has the same
		}
		p += term
	}
	return min(1, max(0, p/float64(points)))
}

// divisor returns the greatest common divisor.
func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
