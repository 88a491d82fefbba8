// The figures: headline, trend, tags, curves.

function headline() {
  const now = metricsNow().micro, pair = shared();
  // What has changed is of the images that both judged, from one figure to the other.
  const changed = (place) => (pair ? [change(difference(pair.now.micro[place], pair.before.micro[place])), " to ", iterationNamed(compared),
    make("span", { class: "from" }, ` (${percent(pair.before.micro[place])} → ${percent(pair.now.micro[place])})`)] : "nothing to compare with");
  const tile = (title, figure, changed, service, help) => make("div", { class: "tile" },
    make("dt", { title: help }, title),
    make("dd", { class: "figure" }, figure),
    compared ? make("dd", { class: "change" }, changed) : null,
    make("dd", { class: "service" }, service));
  const service = (v) => (v === null ? "the service says nothing" : ["the service: ", make("b", null, percent(v))]);
  if (!compared) fill("h-headline", "How good is it?");
  fill("tiles",
    tile("Precision", percent(now[precision]), changed(precision), service(shown.precision), "The share of the predictions that are right"),
    tile("Recall", percent(now[recall]), changed(recall), service(shown.recall), "The share of the labels that are found"),
    tile("F1", percent(now[f1]), changed(f1), "the service has none", "The harmonic mean of precision and recall"),
    tile("mAP", percent(data.averagePrecision), pair ? [change(difference(data.averagePrecision, data.averagePrecisionBefore)), " to ", iterationNamed(compared), ", each on its own images"] : "nothing to compare with",
      service(shown.averagePrecision), "The mean of the tags' average precisions, over all thresholds"),
    tile("Images", count(shown.images), compared ? [change(shown.images - compared.images, "", 0), " to ", iterationNamed(compared)] : null, plural(labelsOf(now), "label")));
  fill("headline-lead", verdictOfAll());
  fill("headline-images", pair ? ["The large figures are on ", own(), "; what has changed is on ", both(), "."] : ["The figures are on ", own(), "."]);
  const at = `The service's figures are at threshold ${shown.probabilityThreshold}${detection ? ` and overlap ${shown.overlapThreshold}` : ""}`;
  fill("headline-note", `Precision, recall and F1 are of all tags together, at threshold ${threshold()}${detection ? ` and overlap ${data.overlap}` : ""}; every case counts the same. mAP is over all thresholds: the slider moves neither it nor AP, the best thresholds and the service's figures. ${at}.${pair ? " " + rule() : ""}`);
}

const judgedAt = data.thresholds[data.start]; // which the slider starts at

const rule = () => `“Better” and “worse” are said at threshold ${judgedAt} alone, wherever the slider is, and only if chance would make so large a difference at most once in 20 times (p ≤ 0.05). The test is the exact sign-flip test on each image's fixed less its broken cases. No tag is judged: an arrow only shows the sign of a difference.`;

const chance = (p) => (p < 0.0001 ? "p < 0.0001" : `p = ${Number(p.toPrecision(2))}`);

// verdictOfAll says in a sentence what data.verdict has. The slider does not change it.
function verdictOfAll() {
  if (!compared) return "There is no other iteration to compare with.";
  const name = iterationNamed(compared);
  if (data.apart) {
    const f1s = [data.shown, data.compared].map((n) => data.trend[data.start][n][2]);
    return ["No verdict: ", ...apart(), ...(data.apart.what === "image" && f1s[1] !== null ? [` At threshold ${judgedAt} F1 is ${percent(f1s[0])} on its own images, that of `, name, ` ${percent(f1s[1])} on its own.`] : [])];
  }
  const { word, p, differ, fixed, broken } = data.verdict;
  const { now, before } = data.shared[data.start];
  const f1Change = difference(now.micro[f1], before.micro[f1]);
  const area = difference(data.averagePrecision, data.averagePrecisionBefore);
  const across = area !== null && f1Change !== null && Number(area.toFixed(1)) * Number(f1Change.toFixed(1)) < 0 ? ` mAP, each on its own images, went the other way (${signed(Number(area.toFixed(1)))} points).` : "";
  const words = { better: ["Better", " than "], worse: ["Worse", " than "], mixed: ["Mixed", " against "], unclear: ["No clear difference", " from "], few: ["Too few images differ to say", " whether it is better than "] }[word];
  const figures = `${f1Change === null ? "" : `F1 ${signed(Number(f1Change.toFixed(1)))} points, `}${count(fixed)} fixed and ${count(broken)} broken on ${both()}`;
  const test = word === "few" ? `. ${differ === 0 ? "None" : count(differ)} of these ${differ === 1 ? "differs" : "differ"}, and it takes 6.`
    : `${word === "unclear" ? ", which may be chance" : ""}. Of these ${count(differ)} differ; ${chance(p)}.`;
  return [make("b", { title: rule() }, words[0]), words[1], name, ` at threshold ${judgedAt}: `, figures, test, across];
}

function trend() {
  // Without a label, precision and F1 are 0 and say nothing; recall is null then.
  const rows = () => data.iterations.map((iteration, n) => ({ iteration, n, figures: data.trend[state.threshold][n] }))
    .map((row) => (row.figures[1] === null ? { ...row, figures: [null, null, null] } : row));
  const looks = ["precision", "recall", "f1", "map"];
  const chart = lineChart("trend-chart", "trend-readout", "Iteration to read in the chart of all iterations", () => {
    const lines = [0, 1, 2].map((figure) => rows().map((row) => row.figures[figure]));
    lines.push(rows().map((row) => row.iteration.averagePrecision));
    const last = data.iterations.length - 1;
    return {
      series: lines.map((line, n) => ({ className: "ct-series " + looks[n], points: true, data: line.map((y, x) => (y === null ? null : { x, y })) })),
      x: { low: last ? 0 : -1, high: last || 1, ticks: data.iterations.map((_, n) => n), label: (n) => cut(data.iterations[n].name, 12) },
      y: shares(lines.flat()),
      stops: rows().map((row) => ({ x: row.n, text: () => [iterationNamed(row.iteration), ` (${day(row.iteration) || "no date"}): precision ${percent(row.figures[0])}, recall ${percent(row.figures[1])}, F1 ${percent(row.figures[2])}, mAP of the service ${percent(row.iteration.averagePrecision)}`] })),
      start: data.shown,
    };
  });
  byId("trend-chart").before(key([["precision", "precision"], ["recall", "recall"], ["f1", "F1"], ["map", "mAP, the service's own"]]));
  return () => {
    chart.update();
    table("trend-table", [
      { title: "Iteration", value: (r) => r.n, cell: (r) => iterationNamed(r.iteration) },
      { title: "Trained", value: (r) => day(r.iteration), cell: (r) => day(r.iteration) || none },
      whole("Images", (r) => r.iteration.images),
      share("Precision", (r) => r.figures[0]), share("Recall", (r) => r.figures[1]), share("F1", (r) => r.figures[2]),
      share("Service's precision", (r) => r.iteration.precision, "At the threshold it was asked for"), share("Service's recall", (r) => r.iteration.recall, "At the threshold it was asked for"),
      share("Service's mAP", (r) => r.iteration.averagePrecision),
    ], rows(), { mark: (r) => r.n === data.shown, sort: { column: 0, down: true } });
  };
}

function tags() {
  byId("tags-search-line").hidden = data.tags.length <= 12;
  byId("tags-search").addEventListener("input", update);
  const all = data.tags.length > 1;
  const row = (tag, now, pair) => ({ tag, now, changed: difference(pair[1]?.[f1], pair[0]?.[f1]), about: tag === null ? null : data.tags[tag] });
  function update() {
    const search = byId("tags-search").value.toLowerCase();
    const now = metricsNow(), pair = shared();
    const rows = data.tags.map((_, t) => row(t, now.tags[t], [pair?.before.tags[t], pair?.now.tags[t]])).filter((r) => r.about.name.toLowerCase().includes(search));
    const of = (place) => (r) => r.now?.[place] ?? null;
    const columns = [
      { title: "Tag", value: (r) => r.about.name, cell: (r) => r.about ? make("button", { type: "button", class: "link", title: "Show its curve", onclick: () => choose(r.tag) }, tagNamed(r.tag)) : r.title },
      whole("Labels", (r) => (r.now ? labelsOf(r.now) : null), "How many labels it has: its support"),
      share("Precision", of(precision)), share("Recall", of(recall)), share("F1", of(f1)),
      compared ? { title: "F1 changed", help: pair ? `On ${both()}` : null, number: true, value: (r) => r.changed, cell: (r) => change(r.changed, "") } : null,
      { title: "Best threshold", help: "Where the tag's F1 is best, wherever the slider is", number: true, value: (r) => r.about?.best?.[0] ?? null, cell: (r) => (r.about ? probability(r.about.best?.[0]) : "") },
      { title: "F1 there", number: true, value: (r) => r.about?.best?.[3] ?? null, cell: (r) => (r.about ? percent(r.about.best?.[3]) : "") },
      share("AP", (r) => (r.about ? r.about.averagePrecision : r.ap), "Average precision, over all thresholds"),
      ...[["Right", truePositives, "Predictions that are right"], ["Wrong", falsePositives, "Predictions that are wrong"], ["Missed", falseNegatives, "Labels that are missed"]]
        .map(([title, place, help]) => ({ ...whole(title, of(place), help), screen: true })), // paper has no room for what follows from the others
      ...["precision", "recall", "AP"].map((title, n) => share("Service's " + title, (r) => (r.about ? r.about.service[n] : r.service[n]))),
    ].filter(Boolean);
    const service = [shown.precision, shown.recall, shown.averagePrecision];
    const foot = [
      { ...row(null, now.micro, [pair?.before.micro, pair?.now.micro]), title: "All cases (micro)", ap: null, service: [service[0], service[1], null] },
      { ...row(null, now.macro, [pair?.before.macro, pair?.now.macro]), title: "Mean of tags (macro)", ap: data.averagePrecision, service: [null, null, service[2]] },
    ];
    table("tags-table", columns, rows, { sort: { column: columns.findIndex((c) => c.title === "F1"), down: false }, mark: (r) => all && r.tag === state.tag, foot: all && !search ? foot : [], empty: "No tag has that in its name." });
    const weak = data.tags.map((_, t) => t).filter((t) => labelsOf(now.tags[t]) > 0).sort((a, b) => now.tags[a][f1] - now.tags[b][f1])[0];
    fill("tags-lead", weak === undefined ? "No tag has a label here." : [all ? "Weakest: " : "", tagNamed(weak), `${all ? ", with" : " has"} an F1 of ${percent(now.tags[weak][f1])} over ${plural(labelsOf(now.tags[weak]), "label")}.`, ` The table is of ${own()}${pair ? `; what has changed is on ${both()}` : ""}.`]);
  }
  return update;
}

// choose shows a tag's curve.
function choose(tag) {
  state.tag = tag;
  byId("curve-tag").value = tag;
  charts.forEach((chart) => chart.rest());
  update();
  byId("curve").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  byId("curve-tag").focus({ preventScroll: true });
}

function curve() {
  fill("curve-tag", data.tags.map((tag, t) => make("option", { value: t }, cut(tag.name, 60))));
  byId("curve-choice").hidden = data.tags.length < 2;
  const weakest = data.tags.map((_, t) => t).filter((t) => data.tags[t].averagePrecision !== null).sort((a, b) => data.tags[a].averagePrecision - data.tags[b].averagePrecision)[0];
  state.tag = weakest ?? 0;
  byId("curve-tag").value = state.tag;
  byId("curve-tag").addEventListener("change", (event) => { state.tag = Number(event.target.value); curveChart.rest(); update(); });
  const points = (t) => data.tags[t].curve;
  const curveChart = lineChart("curve-chart", "curve-readout", "Point of the precision-recall curve to read", () => {
    const now = metricsNow().tags[state.tag];
    const mark = now && now[precision] !== null && now[recall] !== null ? [{ x: now[recall], y: now[precision] }] : [];
    const of = (t) => points(t).map(([x, y]) => ({ x, y }));
    const stops = points(state.tag);
    const nearest = stops.findLastIndex((p) => p[2] >= threshold());
    return {
      series: [
        ...data.tags.map((_, t) => t).filter((t) => t !== state.tag).map((t) => ({ className: "ct-series other", data: of(t) })),
        { className: "ct-series chosen", data: of(state.tag) },
        { className: "ct-series now", points: true, data: mark },
      ],
      x: { low: 0, high: 1, ticks: steps(0, 1, 4), label: (v) => v * 100 + " %" },
      y: { low: 0, high: 1, ticks: steps(0, 1, 4), label: (v) => v * 100 + " %" },
      xTitle: "recall", yTitle: "precision",
      // The curve is thinned: the slider's own figures need not be a point of it.
      rest: mark.length ? { x: mark[0].x, text: () => [tagNamed(state.tag), `: with the slider's threshold ${threshold()}, precision ${percent(now[precision])} and recall ${percent(now[recall])}`] } : null,
      stops: stops.map(([r, p, t]) => ({ x: r, text: () => [tagNamed(state.tag), `: with threshold ${probability(t)}, precision ${percent(p)} and recall ${percent(r)}`] })),
      start: Math.max(0, nearest), empty: "None of its predictions is right, so there is no curve.",
    };
  });
  byId("curve-chart").before(make("div", { id: "curve-key" }));
  return () => {
    curveChart.update();
    const now = metricsNow().tags[state.tag];
    fill("curve-key", key([["chosen", tagNamed(state.tag)], ["now", `at threshold ${threshold()}: precision ${percent(now?.[precision])}, recall ${percent(now?.[recall])}`], ...(data.tags.length > 1 ? [["other", "the other tags"]] : [])]));
    table("curve-table", [
      { title: "Threshold", number: true, value: (p) => p[2], cell: (p) => probability(p[2]) },
      share("Recall", (p) => p[0]), share("Precision", (p) => p[1]),
    ], points(state.tag), { empty: "There is no curve." });
    const drawn = data.tags.reduce((n, tag) => n + tag.curve.length, 0);
    fill("curve-note", `Average precision ${percent(data.tags[state.tag].averagePrecision)}. ` + (drawn < data.curvePoints
      ? `The curves of all tags have ${count(data.curvePoints)} points; the ${count(drawn)} that change the picture are drawn and listed.`
      : "Every point of the curve is drawn and listed."));
  };
}
