package signflip

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// precision is what the package promises.
const precision = 1e-12

func TestByHand(t *testing.T) {
	for _, tc := range []struct {
		differences []int
		p           float64
		differ      int
	}{
		{nil, 1, 0},
		{[]int{0, 0, 0}, 1, 0},
		{[]int{5}, 1, 1},                                // 5 or -5
		{[]int{-2, 2, 0}, 1, 2},                         // the sum is 0
		{[]int{1, 1, 1, 1, 1}, 2.0 / 32, 5},             // all signs alike: 2 of 32
		{[]int{-1, -1, -1, -1, -1, -1, 0}, 2.0 / 64, 6}, // 2 of 64
		{[]int{1, 2, 3}, 2.0 / 8, 3},                    // 6 and -6
		{[]int{-1, 2, 3}, 4.0 / 8, 3},                   // 4: 123, -1 2 3, and their opposites
		{[]int{3, 1, 1, -1}, 8.0 / 16, 4},               // 4: 6, 4 in three ways, and their opposites
		{[]int{2, 4, 6}, 2.0 / 8, 3},                    // as 1 2 3
	} {
		got := Test(tc.differences)
		if want := enumerate(tc.differences); math.Abs(want-tc.p) > precision {
			t.Errorf("%v: counted, p is %v, by hand %v", tc.differences, want, tc.p)
		}
		if math.Abs(got.P-tc.p) > precision || got.Differ != tc.differ {
			t.Errorf("%v: p = %v and %d differ, want %v and %d", tc.differences, got.P, got.Differ, tc.p, tc.differ)
		}
	}
}

// enumerate tries all signs.
func enumerate(differences []int) float64 {
	sum := 0
	for _, d := range differences {
		sum += d
	}
	far := 0
	for signs := range 1 << len(differences) {
		other := 0
		for i, d := range differences {
			if signs>>i&1 == 1 {
				d = -d
			}
			other += d
		}
		if max(other, -other) >= max(sum, -sum) {
			far++
		}
	}
	return float64(far) / float64(int(1)<<len(differences))
}

func TestAgainstEverySign(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		d := draw(random, random.IntN(13), 1+random.IntN(9))
		if got, want := Test(d).P, enumerate(d); math.Abs(got-want) > precision {
			t.Fatalf("%v: p = %v, want %v", d, got, want)
		}
	}
}

func draw(random *rand.Rand, n, size int) []int {
	d := make([]int, n)
	for i := range d {
		d[i] = random.IntN(2*size+1) - size
	}
	return d
}

// Many differences of any size, against the same distribution counted in whole numbers.
func TestAgainstCounting(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		d := draw(random, random.IntN(150), 1+random.IntN(12))
		total, sum := 0, 0
		for _, v := range d {
			total, sum = total+max(v, -v), sum+v
		}
		ways := make([]*big.Int, 2*total+1) // of each sum, from -total on
		for i := range ways {
			ways[i] = new(big.Int)
		}
		ways[total].SetInt64(1)
		for _, v := range d {
			next := make([]*big.Int, len(ways))
			for i := range next {
				next[i] = new(big.Int)
				if i-v >= 0 && i-v < len(ways) {
					next[i].Add(next[i], ways[i-v])
				}
				if i+v >= 0 && i+v < len(ways) {
					next[i].Add(next[i], ways[i+v])
				}
			}
			ways = next
		}
		far := new(big.Int)
		for i, n := range ways {
			if s := i - total; max(s, -s) >= max(sum, -sum) {
				far.Add(far, n)
			}
		}
		want, _ := new(big.Rat).SetFrac(far, new(big.Int).Lsh(big.NewInt(1), uint(len(d)))).Float64()
		if got := Test(d).P; math.Abs(got-want) > precision {
			t.Fatalf("%v: p = %v, want %v", d, got, want)
		}
	}
}

// With differences of one size it is the sign test.
func TestAgainstBinomial(t *testing.T) {
	for _, tc := range []struct{ plus, minus int }{{7, 0}, {60, 40}, {501, 499}, {520, 480}, {5200, 4800}, {5100, 4900}, {9000, 1000}} {
		n := tc.plus + tc.minus
		tail, ways := new(big.Int), new(big.Int).Binomial(int64(n), int64(tc.plus))
		for k := int64(tc.plus); k <= int64(n); k++ {
			tail.Add(tail, ways)
			ways.Mul(ways, big.NewInt(int64(n)-k)).Quo(ways, big.NewInt(k+1))
		}
		want, _ := new(big.Rat).SetFrac(tail.Lsh(tail, 1), new(big.Int).Lsh(big.NewInt(1), uint(n))).Float64()
		for _, size := range []int{1, 7} {
			var d []int
			for range tc.plus {
				d = append(d, size)
			}
			for range tc.minus {
				d = append(d, -size)
			}
			if got := Test(d); math.Abs(got.P-min(1, want)) > precision || got.Differ != n {
				t.Errorf("%d of %d differences of %d: p = %v, want %v", tc.plus, n, size, got.P, want)
			}
		}
	}
}

// The largest input that is thought of, whose speed BenchmarkTest measures.
func TestLarge(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	d := draw(random, 10_000, 300)
	sum, squares := 0.0, 0.0
	for _, v := range d {
		sum, squares = sum+float64(v), squares+float64(v*v)
	}
	got := Test(d)
	// So many differences are almost normally distributed.
	if want := math.Erfc(math.Abs(sum) / math.Sqrt(2*squares)); math.Abs(got.P-want) > 1e-3 {
		t.Errorf("p = %v, want about %v", got.P, want)
	}
}

func BenchmarkTest(b *testing.B) {
	d := draw(rand.New(rand.NewPCG(5, 6)), 10_000, 300)
	for b.Loop() {
		Test(d)
	}
}
