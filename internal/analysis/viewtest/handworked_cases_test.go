package viewtest

const usual = "0.5, 0.3"

type handWorkedCase struct {
	name string
	example
	questions []question
}

// handWorked are iterations with the figures that pencil and paper give.
var handWorked = []handWorkedCase{
	{
		name: "of two boxes on one region the surer one is right, also if it overlaps less",
		example: example{
			predictions: `
i A 0.75  0044
i A 0.875 0042`,
			labels: `
i A 0044`,
		},
		questions: []question{
			at(outcomes, usual, "i A false_positive 0 0 1", "i A true_positive 1 0 0.5"),
			at(matrix, usual, "background tag A 1", "tag A tag A 1"),
		},
	},
	{
		// The example of seven images that is published with github.com/rafaelpadilla/Object-Detection-Metrics
		// (samples/sample_2, of 200 by 200 pixels, counted as there: a box from pixel 25 to pixel 63
		// is 39 wide). Three pairs of its boxes are as sure. Its authors rank
		// them one after another and get 0.2457; together, as scikit-learn takes them, they give 0.2235.
		name: "seven images",
		example: example{
			predictions: `
1 A 0.88 0.025,0.335,0.16,0.245
1 A 0.70 0.595,0.555,0.205,0.34
1 A 0.80 0.62,0.045,0.25,0.34
2 A 0.71 0.32,0.555,0.325,0.295
2 A 0.54 0.13,0.7,0.305,0.24
2 A 0.74 0.095,0.09,0.22,0.18
3 A 0.18 0.545,0.075,0.39,0.2
3 A 0.67 0.43,0.315,0.235,0.23
3 A 0.38 0.8,0.31,0.185,0.27
3 A 0.91 0.525,0.655,0.24,0.24
3 A 0.44 0.09,0.74,0.205,0.225
4 A 0.35 0.415,0.14,0.145,0.135
4 A 0.78 0.14,0.34,0.215,0.34
4 A 0.45 0.435,0.445,0.13,0.2
4 A 0.14 0.05,0.775,0.305,0.135
5 A 0.62 0.25,0.19,0.145,0.235
5 A 0.44 0.475,0.055,0.27,0.145
5 A 0.95 0.145,0.655,0.365,0.15
5 A 0.23 0.145,0.815,0.365,0.15
6 A 0.45 0.215,0.24,0.375,0.195
6 A 0.84 0.085,0.775,0.15,0.18
6 A 0.43 0.475,0.55,0.13,0.215
7 A 0.48 0.08,0.1,0.51,0.445
7 A 0.95 0.165,0.58,0.19,0.25`,
			labels: `
1 A 0.125,0.08,0.195,0.285
1 A 0.645,0.615,0.21,0.315
2 A 0.615,0.055,0.22,0.28
2 A 0.19,0.66,0.3,0.23
3 A 0.08,0.07,0.18,0.245
3 A 0.615,0.15,0.25,0.225
3 A 0.495,0.695,0.24,0.24
4 A 0.265,0.21,0.205,0.265
4 A 0.77,0.215,0.16,0.175
5 A 0.295,0.155,0.225,0.26
5 A 0.24,0.64,0.175,0.265
6 A 0.18,0.445,0.265,0.385
6 A 0.31,0.29,0.225,0.34
7 A 0.14,0.155,0.28,0.32
7 A 0.29,0.335,0.255,0.295`,
		},
		questions: []question{
			{"SELECT scope, labels, round(average_precision, 6) FROM average_precision(0.3) ORDER BY ALL", []string{"macro 15 0.223464", "tag 15 0.223464"}},
		},
	},
	{
		// They share half of their union, 0.09 of 0.18, and doubles make it 0.49999999999999994.
		name: "decimal fractions that overlap by exactly the threshold",
		example: example{
			predictions: `
i A 0.75 0.1,0.1,0.6,0.3
j A 0.75 0.2,0.1,0.6,0.3`,
			labels: `
i A 0.4,0.1,0.3,0.3
j B 0.4,0.1,0.3,0.3`,
		},
		questions: []question{
			at(outcomes, "0.5, 0.5", "i A true_positive 0 0 0.5", "j A false_positive 0 - -", "j B false_negative - 0 -"),
			at(mistakes, "0.5, 0.5", "j confused B A 0 0 0.5"),
			at(outcomes, "0.5, 0.500001", "i A false_positive 0 0 0.5", "i A false_negative - 0 -", "j A false_positive 0 - -", "j B false_negative - 0 -"),
		},
	},
	{
		// In doubles 0.1 + 0.2 is above 0.3, so the boxes share 1.4e-16 of their union.
		name: "decimal fractions that touch",
		example: example{
			predictions: `
i A 0.75 0.3,0.1,0.2,0.2`,
			labels: `
i A 0.1,0.1,0.2,0.2`,
		},
		questions: []question{
			at(outcomes, "0.5, 0", "i A false_positive 0 - -", "i A false_negative - 0 -"),
			at(mistakes, "0.5, 0", "i unlabelled - A 0 - -", "i missed A - - 0 -"),
		},
	},
	{
		name: "of two boxes as sure the first in the list is right",
		example: example{
			predictions: `
i A 0.75 0042
i A 0.75 0044`,
			labels: `
i A 0044`,
		},
		questions: []question{at(outcomes, usual, "i A true_positive 0 0 0.5", "i A false_positive 1 0 1")},
	},
	{
		// The second box overlaps both regions by 12 of 20. It is compared with the
		// first, which is taken, and does not fall back on the second.
		name: "a box between two regions is compared with one",
		example: example{
			predictions: `
i A 0.9 0044
i A 0.8 1044`,
			labels: `
i A 0044
i A 2044`,
		},
		questions: []question{at(outcomes, usual, "i A true_positive 0 0 1", "i A false_positive 1 0 0.6", "i A false_negative - 1 -")},
	},
	{
		// 3 by 3 and 4 by 1 share 3 by 1: 3 / (9 + 4 - 3) is 0.3.
		name: "a threshold that is just met is met",
		example: example{
			predictions: `
i A 0.5 0041`,
			labels: `
i A 0033`,
		},
		questions: []question{
			at(outcomes, "0.5, 0.3", "i A true_positive 0 0 0.3"),
			at(outcomes, "0.5, 0.300001", "i A false_positive 0 0 0.3", "i A false_negative - 0 -"),
			at(outcomes, "0.500001, 0.3", "i A false_negative - 0 -"),
		},
	},
	{
		// b: 4 by 4 and 4 by 4 share 1 by 4, 4 / 28.
		name: "boxes that touch, or have no area, do not meet, whatever overlap is enough",
		example: example{
			predictions: `
a A 0.9 4044
b A 0.9 3044
c A 0.9 0044
d A 0.9 2000`,
			labels: `
a A 0044
b A 0044
c A 2200
d A 0044`,
		},
		questions: []question{at(outcomes, "0, 0",
			"a A false_positive 0 - -", "a A false_negative - 0 -",
			"b A true_positive 0 0 0.1429",
			"c A false_positive 0 - -", "c A false_negative - 0 -",
			"d A false_positive 0 - -", "d A false_negative - 0 -")},
	},
	{
		name: "boxes too small for numbers do not meet",
		example: example{
			predictions: `
i A 0.9 0000`,
			labels: `
i A 0000`,
			side: 1e-170,
		},
		questions: []question{
			at(outcomes, "0, 0", "i A false_positive 0 - -", "i A false_negative - 0 -"),
			at(mistakes, "0, 0", "i unlabelled - A 0 - -", "i missed A - - 0 -"),
		},
	},
	{
		// Right or wrong: + + - - - + + - - +, of five labels.
		//
		//	precision     1    1   2/3  2/4  2/5  3/6  4/7  4/8  4/9  5/10
		//	recall       0.2  0.4  0.4  0.4  0.4  0.6  0.8  0.8  0.8  1
		//	interpolated  1    1                  4/7  4/7            0.5
		//
		// The area is 0.2 (1 + 1 + 4/7 + 4/7 + 1/2) = 51/70. F1 is 2/6, 4/7, 6/11, 8/12
		// and 10/15: the last two are as good, and the surer one is taken. Nothing finds
		// B, and C has no label: mAP is (51/70 + 0) / 2.
		name: "average precision of ten boxes",
		example: example{
			predictions: `
a A 0.95 0044
b A 0.9  0044
c A 0.85 0044
d A 0.8  0044
e A 0.75 0044
f A 0.7  0044
g A 0.65 0044
h A 0.6  0044
i A 0.55 0044
j A 0.5  0044
j C 0.9  0044`,
			labels: `
a A 0044
b A 0044
f A 0044
g A 0044
j A 0044
j B 0044`,
		},
		questions: []question{
			at(curve, "0.3", "0.95 1 0 1 0.2 1", "0.9 2 0 1 0.4 1", "0.7 3 3 0.5 0.6 0.5714", "0.65 4 3 0.5714 0.8 0.5714", "0.5 5 5 0.5 1 0.5"),
			at(areas, "0.3", "tag A 5 0.7286", "tag B 1 0", "tag C 0 -", "macro - 6 0.3643"),
			at(best, "0.3", "A 0.65 4 3 5 0.6667"),
		},
	},
	{
		// One point: precision 1/2 at recall 1/2, in whatever order they are listed.
		name: "predictions as sure make one point",
		example: example{
			classifier: true,
			predictions: `
a A 0.5
b A 0.5
c B 0.5
d B 0.5`,
			labels: `
a A
c A
d B
e B`,
		},
		questions: []question{
			at(curve, "0.3", "0.5 1 1 0.5 0.5 0.5", "0.5 1 1 0.5 0.5 0.5"),
			at(areas, "0.3", "tag A 2 0.25", "tag B 2 0.25", "macro - 4 0.25"),
		},
	},
	{
		// Macro takes A, B and C, and what B and C lack for 0; D has no case.
		name: "precision, recall and F1",
		example: example{
			classifier: true,
			predictions: `
a A 0.9
b A 0.9
b C 0.9
c D 0.1`,
			labels: `
a A
c B`,
		},
		questions: []question{at(metrics, usual,
			"tag A 1 1 1 0 0.5 1 0.6667",
			"tag B 1 0 0 1 - 0 0",
			"tag C 0 0 1 0 0 - 0",
			"tag D 0 0 0 0 - - -",
			"micro - 2 1 2 1 0.3333 0.5 0.4",
			"macro - 2 1 2 1 0.1667 0.3333 0.2222")},
	},
	{
		// The surest on the first region is C's; A's box overlaps both by 12 of 20, is
		// compared with the first alone, and has none. In j nothing overlaps by 0.5.
		name: "a wrong box goes with the missed region of another tag that it overlaps most",
		example: example{
			predictions: `
i A 0.8 1044
i C 0.9 0042
j A 0.9 0042`,
			labels: `
i B 0044
i B 2044
j B 0045`,
		},
		questions: []question{
			at(mistakes, "0.5, 0.5", "i unlabelled - A 0 - -", "i confused B C 1 0 0.5", "i missed B - - 1 -", "j unlabelled - A 0 - -", "j missed B - - 0 -"),
			at(matrix, "0.5, 0.5", "background tag A 2", "tag B missed 2", "tag B tag C 1"),
			at(mistakes, "0.5, 0.4", "i unlabelled - A 0 - -", "i confused B C 1 0 0.5", "i missed B - - 1 -", "j confused B A 0 0 0.4"),
		},
	},
	{
		// D is surest and goes with B, C with A, and none is left for E. B, listed
		// twice, is one label.
		name: "a classifier's wrong tags go with the missed ones in turn",
		example: example{
			classifier: true,
			predictions: `
i C 0.9
i D 0.95
i E 0.6
i A 0.04`,
			labels: `
i B
i A
i B`,
		},
		questions: []question{
			at(outcomes, usual, "i A false_negative - 1 -", "i B false_negative - 0 -", "i C false_positive 0 - -", "i D false_positive 1 - -", "i E false_positive 2 - -"),
			at(mistakes, usual, "i confused A C 0 1 -", "i confused B D 1 0 -", "i unlabelled - E 2 - -"),
			at(matrix, usual, "background tag E 1", "tag A tag C 1", "tag B tag D 1"),
		},
	},
	{
		// A classifier that says a tag twice finds it once, with the surer of the two.
		name: "a tag predicted twice",
		example: example{
			classifier: true,
			predictions: `
i A 0.6
i A 0.9`,
			labels: `
i A`,
		},
		questions: []question{
			at(outcomes, usual, "i A false_positive 0 0 -", "i A true_positive 1 0 -"),
		},
	},
	{
		// b: wrong with 0.9, and a missed label that a prediction of 0.25 would have
		// found: 0.9 + 0.75. a: a missed label that nothing would have found. c is right.
		name: "hardest images of a classifier",
		example: example{
			classifier: true,
			predictions: `
b A 0.9
b B 0.25
c A 0.9
d A 0.9
d B 0.05`,
			labels: `
a A
b B
c A
d A
d B`,
		},
		questions: []question{
			at(hardest, usual, "1 b 1.65 0 1 1", "2 a 1 0 0 1", "3 d 0.95 1 0 1"),
		},
	},
}

// Only a, b, c and d are in both. B of b was predicted before, C of b after, and
// neither is labelled.
var (
	handWorkedBefore = example{
		classifier: true,
		predictions: `
a A 0.4
b A 0.9
b B 0.6
c A 0.9
d A 0.3
before A 0.9`,
		labels: `
a A
b A
c A
d A`,
	}
	handWorkedAfter = example{
		classifier: true,
		predictions: `
a A 0.8
b A 0.7
b C 0.5
c A 0.2
after A 0.9`,
		labels: `
a A
b A
c A
d A`,
	}
	handWorkedChanges = at(changes, usual,
		"a A fixed - 0.8", "b A still_right 0.9 0.7", "b B fixed 0.6 -", "b C broken - 0.5", "c A broken 0.9 -", "d A still_wrong - -")
	// Before, A is right twice and missed twice (4/6), B wrong once; after, A is right
	// twice and missed twice, C wrong once. The images of one alone do not count.
	handWorkedComparison = at(both, usual,
		"macro - 4 2 2 1 1 2 1 2 0.3333 2 1 2 0.3333",
		"micro - 4 2 2 1 1 2 1 2 0.5714 2 1 2 0.5714",
		"tag A 4 1 1 1 1 2 0 2 0.6667 2 0 2 0.6667",
		"tag B 4 1 0 0 0 0 1 0 0 0 0 0 -",
		"tag C 4 0 1 0 0 0 0 0 - 0 1 0 0")
)
