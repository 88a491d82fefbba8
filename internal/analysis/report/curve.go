package report

import (
	"encoding/json"
	"slices"
	"strconv"
)

// point is one of a tag's precision-recall curve.
type point struct{ recall, precision, threshold float64 }

// curveColumns is how many columns of a drawing a curve is thinned for.
const curveColumns = 80

// thin keeps the points that a drawing shows: of each column the first, the last,
// the highest and the lowest. Points come in order of recall.
func thin(curve []point) []point {
	if len(curve) <= 2*curveColumns {
		return curve
	}
	var kept []point
	for from := 0; from < len(curve); {
		column := int(curve[from].recall * curveColumns)
		to := from
		low, high := from, from
		for ; to < len(curve) && int(curve[to].recall*curveColumns) == column; to++ {
			if curve[to].precision < curve[low].precision {
				low = to
			}
			if curve[to].precision > curve[high].precision {
				high = to
			}
		}
		places := []int{from, low, high, to - 1}
		slices.Sort(places)
		for _, at := range slices.Compact(places) {
			kept = append(kept, curve[at])
		}
		from = to
	}
	return kept
}

// short is a number that is only drawn, in six significant digits. What is less than
// 1 stays so: as a threshold it is told.
func short(f float64) json.Number {
	text := strconv.FormatFloat(f, 'g', 6, 64)
	if text == "1" && f < 1 {
		text = "0.999999"
	}
	return json.Number(text)
}
