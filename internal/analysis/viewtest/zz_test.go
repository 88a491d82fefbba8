package viewtest
import ("testing";"fmt";"math/rand/v2";"time";"github.com/cvexport/cvexport/internal/exported")
func met(hits []int, rows [][]any, n int) (float64, float64, int, float64) {
	f := map[int]bool{}
	var a, r float64 = -1, -1
	for i := range rows {
		if hits[i] >= 0 { f[hits[i]] = true }
		if i == 49 { a = float64(len(f))/50 }
		if i == n-1 { r = float64(len(f))/float64(n) }
	}
	if a < 0 { a = float64(len(f))/50 }
	if r < 0 { r = float64(len(f))/float64(n) }
	return a, r, len(rows), float64(len(f))/float64(n)
}
func TestZZ(t *testing.T){
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	const N = 3
	res := map[string][3][4]float64{}
	for seed := range uint64(N) {
		for _, w := range []*world{newClassifierWorld("Multiclass", seed), newClassifierWorld("Multilabel", seed), newDetectorWorld(seed)} {
			w.load(t, db)
			for _, share := range []float64{0.02, 0.1} {
				labels, errors := w.plant(rand.New(rand.NewPCG(seed, 9)), share)
				w.label(t, db, labels)
				for li, q := range []string{ranked, fmt.Sprintf(plain, .5, w.kind), fmt.Sprintf(plain, .9, w.kind)} {
				t0 := time.Now()
				all := rowsOf(t, db, q).rows
				if seed == 0 { fmt.Println(w.kind, share, li, time.Since(t0)) }
				hits := w.hits(t, db, all, errors, labels)
				for _, kind := range append([]string{"all"}, w.kinds()...) {
					var rows [][]any; var h []int; n := 0
					for i, r := range all { if kind == "all" || r[1] == kind { rows = append(rows, r); h = append(h, hits[i]) } }
					for _, e := range errors { if kind == "all" || e.kind == kind { n++ } }
					a, b, c, d := met(h, rows, n)
					key := fmt.Sprintf("%s %v %s", w.kind, share, kind)
					x := res[key]; x[li][0] += a/N; x[li][1] += b/N; x[li][2] += float64(c)/N; x[li][3] += d/N; res[key] = x
				}
				}
			}
		}
	}
	for _, k := range []string{"Multiclass", "Multilabel", "detection"} { for _, s := range []string{"0.02", "0.1"} { for _, kk := range []string{"all", "overlooked", "swapped", "superfluous", "badly_placed"} {
		if x, ok := res[k+" "+s+" "+kk]; ok { fmt.Printf("%-12s %-5s %-13s", k, s, kk); for _, l := range x { fmt.Printf(" | %.2f %.2f (%.2f of %4.0f)", l[0], l[1], l[3], l[2]) }; fmt.Println() }
	}}}
}
