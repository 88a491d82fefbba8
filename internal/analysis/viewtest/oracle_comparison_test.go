package viewtest

// pair returns the two iterations of the arguments, or nothing if either has no
// committed export.
func (w *warehouse) pair(a arguments) (before, after *evaluation) {
	evaluations := w.evaluations()
	for i := range evaluations {
		e := &evaluations[i]
		if e.ProjectID == a.before.ProjectID && e.IterationID == a.before.IterationID {
			before = e
		}
		if e.ProjectID == a.after.ProjectID && e.IterationID == a.after.IterationID {
			after = e
		}
	}
	if before == nil || after == nil {
		return nil, nil
	}
	return before, after
}

// comparison counts the cases of each tag as iterationChanges has them, and judges each
// iteration by its own outcomes on the images of both.
func (w *warehouse) comparison(a arguments) (all [][]any) {
	before, after := w.pair(a)
	if before == nil {
		return nil
	}
	images := int64(0)
	for _, image := range before.images {
		if after.hasImage(image.ImageID) {
			images++
		}
	}
	type change struct{ fixed, broken, stillRight, stillWrong int64 }
	changes, names := map[string]change{}, map[string]*string{}
	var sum change
	for _, row := range w.iterationChanges(a) {
		id := row[4].(string)
		c := changes[id]
		for _, c := range []*change{&c, &sum} {
			*map[string]*int64{"fixed": &c.fixed, "broken": &c.broken, "still_right": &c.stillRight, "still_wrong": &c.stillWrong}[row[6].(string)]++
		}
		changes[id] = c
		if name, ok := row[5].(string); ok {
			names[id] = later(names[id], &name)
		}
	}
	row := func(scope string, id, name any, c change, sides ...[]any) {
		values := []any{before.ProjectID, before.IterationID, after.IterationID, scope, id, name, images, c.fixed, c.broken, c.stillRight, c.stillWrong}
		for _, side := range sides {
			values = append(values, side...)
		}
		all = append(all, append(values, before.limited(), after.limited()))
	}
	tags := map[string][][]any{}
	var micro, macro [][]any
	for _, side := range [][2]*evaluation{{before, after}, {after, before}} {
		var total tally
		var precision, recall, f1, counted float64
		var shared []outcome
		for _, o := range side[0].outcomes(a.probabilityThreshold, a.overlapThreshold) {
			if side[0].hasImage(o.imageID()) && side[1].hasImage(o.imageID()) {
				shared = append(shared, o)
				total.add(o.kind)
			}
		}
		for id := range changes {
			c := side[0].tally(id, shared)
			tags[id] = append(tags[id], c.values())
			if c.f1() == nil {
				continue
			}
			counted++
			f1 += *c.f1()
			if p := c.precision(); p != nil {
				precision += *p
			}
			if r := c.recall(); r != nil {
				recall += *r
			}
		}
		micro = append(micro, total.values())
		mean := append(total.values()[:3], nil, nil, nil)
		if counted > 0 {
			mean = append(mean[:3], precision/counted, recall/counted, f1/counted)
		}
		macro = append(macro, mean)
	}
	for id, c := range changes {
		row("tag", id, value(names[id]), c, tags[id]...)
	}
	row("micro", nil, nil, sum, micro...)
	row("macro", nil, nil, sum, macro...)
	return all
}

// values are the counts and figures as a row has them.
func (c tally) values() []any {
	return []any{c.truePositives, c.falsePositives, c.falseNegatives, value(c.precision()), value(c.recall()), value(c.f1())}
}
