package verdict

import (
	"math/rand/v2"
	"testing"
)

// TestFalseAlarms compares equal models, a thousand pairs of each kind, at several
// numbers of images: they are hardly ever called better or worse.
func TestFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("a long simulation")
	}
	const pairs = 1000
	for n, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			worstBefore := 0
			for _, images := range []int{50, 200, 1000} {
				r := rand.New(rand.NewPCG(uint64(n), uint64(images)))
				alarms, before := 0, 0
				var f1 float64
				for range pairs {
					u := compare(images, func() outcome { return w.outcome(w.picture(r, 0)) })
					if u.Word != Unclear && u.Word != TooFew {
						alarms++
					}
					if u.twoDeviations {
						before++
					}
					f1 += u.f1[0] / pairs
				}
				t.Logf("%d images, F1 %.2f: %.1f %% false alarms; %.1f %% of the normal approximation over cases", images, f1, 100*float64(alarms)/pairs, 100*float64(before)/pairs)
				if alarms > pairs*6/100 {
					t.Errorf("%d images: %d false alarms of %d", images, alarms, pairs)
				}
				if alarms < pairs/100 && images > 50 {
					t.Errorf("%d images: %d false alarms of %d: the test is far below its level", images, alarms, pairs)
				}
				worstBefore = max(worstBefore, before)
			}
			// The simulation can tell a wrong test from a right one.
			if worstBefore <= pairs*6/100 {
				t.Errorf("the normal approximation over cases has at most %d false alarms of %d", worstBefore, pairs)
			}
		})
	}
}
