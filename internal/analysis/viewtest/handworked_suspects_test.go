package viewtest

// handWorkedSuspects are iterations with the label suspects that pencil and paper give.
var handWorkedSuspects = []handWorkedCase{
	{
		// A is labelled on a to d, with 0.9, 0.7, 0.8 and 0: 0.6 on average; elsewhere 0.8
		// on f, 0.8 / 6. B: 0.9 on f, g and h, and elsewhere 0.1 on d of seven. C has no
		// label, and says nothing.
		//
		//	f has no A, which is seen at 0.8: 1 - 0.2 / (0.4 + 0.2) = 2/3, and of the four
		//	that are as sure three are labelled: 1/2.
		//	d has A, which is not seen at all: 1, and of the four that the model is sure of
		//	three are there: 3/4.
		name: "suspects of a multi-label classifier",
		example: example{
			classifier: true,
			predictions: `
a A 0.9
b A 0.7
c A 0.8
d B 0.1
e C 0.9
f A 0.8
f B 0.9
g B 0.9
h B 0.9
i C 0.9
j C 0.9`,
			labels: `
a A
b A
c A
d A
f B
g B
h B`,
		},
		questions: []question{at(suspects, "0.5", "1 d superfluous 0.75 - A - 0", "2 f overlooked 0.5 A - 0 -")},
	},
	{
		// A is labelled on a to d, with 0.9, 0.7, 0.8 and 0.2: 0.65; on the three others it has
		// 0.1 and 0.6, 7/30. B is labelled on e to g, with 0.8, 0.9 and 0.4: 0.7.
		//
		//	d has A at 0.2, and B at 0.8: 1 - 0.2 / (0.3 + 0.2) = 3/5, A is not there by
		//	1 - 0.2 / (7/30 + 0.2) = 7/13, and of three Bs as sure two are labelled: 14/65.
		//	g is A at 0.6 rather than B, but A is confident from 0.65 on.
		name: "suspects of a multi-class classifier",
		example: example{
			classifier: true, multiclass: true,
			predictions: `
a A 0.9
b A 0.7
c A 0.8
d B 0.8
d A 0.2
e B 0.8
f B 0.9
f A 0.1
g A 0.6
g B 0.4`,
			labels: `
a A
b A
c A
d A
e B
f B
g B`,
		},
		questions: []question{at(suspects, "0.5", "1 d swapped 0.2154 B A 0 0")},
	},
	{
		// A is found on a, b and c with 0.9, 0.8 and 0.7, and not on d and e: 0.48 on
		// average.
		//
		//	d: the box shares 2 of 4 columns with the region, 1/3: badly placed, by
		//	1 - 0.4 / (0.52 + 0.4) = 13/23.
		//	e: its region is elsewhere. The box is overlooked: 1 - 0.2 / 0.72 = 13/18.
		//	f: two boxes on one overlooked object, the first is listed: 1 - 0.1 / 0.62 = 26/31.
		//	g: labelled B, nothing sees it: 1 - 0.5 / 1.02 = 26/51.
		//	c: the second box of A that meets the region which is found is no suspect.
		name: "suspects of a detector",
		example: example{
			predictions: `
a A 0.9 0044
b A 0.8 0044
b B 0.6 4444
c A 0.7 0044
c A 0.5 2044
d A 0.6 2044
e A 0.8 4044
f A 0.9 4044
f A 0.9 4043
g A 0.5 0044`,
			labels: `
a A 0044
b A 0044
b B 4444
c A 0044
d A 0044
e A 0044
g B 0044`,
		},
		questions: []question{
			at(suspects, "0.5", "1 f overlooked 0.8387 A - 0 -", "2 e overlooked 0.7222 A - 0 -", "3 d badly_placed 0.5652 A A 0 0", "4 g swapped 0.5098 A B 0 0"),
		},
	},
	{
		// Four boxes in a row where nothing is labelled, each overlapping the next by 3 / 5, the next but one by 1 / 3. The
		// first is left out for none, the second for the first; what the second would leave out stays. The mean of the labelled
		// A is 0.5, and 1 - (1 - p) / (1.5 - p) is the score.
		name: "suspects in a row",
		example: example{
			predictions: `
a A 0.5  0044
i A 0.9  0044
i A 0.8  1044
i A 0.7  2044
i A 0.6  3044`,
			labels: `
a A 0044`,
		},
		questions: []question{
			at(suspects, "0.5", "1 i overlooked 0.8333 A - 0 -", "2 i overlooked 0.625 A - 2 -", "3 i overlooked 0.5556 A - 3 -"),
		},
	},
}
