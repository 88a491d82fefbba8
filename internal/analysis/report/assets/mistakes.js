// The mistakes: confusion, what changed, hardest images, label suspects.

const sides = {
  multiclass: { title: "What is taken for what?", none: "nothing labelled" },
  multilabel: { title: "Which tag in place of which?", none: "nothing labelled" },
  detection: { title: "What is taken for what?", none: "background" },
}[data.kind] ?? { title: "What is taken for what?", none: "nothing labelled" };

const explained = {
  multiclass: "A wrong prediction is set against the image's own tag; at a low threshold an image has several predictions.",
  multilabel: "On each image the surest wrong tag is set against the first missed one, and so on; what is left over is missed, or labelled as nothing.",
  detection: `A wrong box is set against the missed region of another tag that it overlaps most, by ${data.overlap} or more; one that meets none is on the background.`,
}[data.kind] ?? "";

const labelledName = (t) => (t < 0 ? make("i", null, sides.none) : tagNamed(t));
const predictedName = (t) => (t < 0 ? make("i", null, "missed") : tagNamed(t));

const onPaper = 20; // tags that the matrix has room for on paper

function confusion() {
  fill("h-confusion", sides.title);
  byId("confusion-details").open = data.tags.length <= 12;
  byId("confusion-details").addEventListener("toggle", matrix);
  function matrix() {
    if (!byId("confusion-details").open) return;
    const cases = new Map(data.confusion[state.threshold].map(([l, p, n]) => [l + " " + p, n]));
    const places = data.tags.map((_, t) => t);
    const rows = [-1, ...places], columns = rows; // what is missed stays in sight of many tags
    const cell = (l, p, all) => {
      if (l < 0 && p < 0) return make("td", { class: "never" });
      const n = cases.get(l + " " + p) ?? 0;
      const heat = all && n ? Math.round(12 + 48 * Math.sqrt(n / all)) : 0;
      const attributes = { class: l === p ? "heat right" : "heat wrong", style: heat ? `--heat: ${heat}%` : null };
      return make("td", attributes, n ? count(n) : "");
    };
    const names = data.tags.length > 12;
    fill("confusion-matrix", data.tags.length > onPaper ? make("p", { class: "paper note" }, `A matrix of ${data.tags.length} tags has no room on paper.`) : null,
      make("table", { class: `matrix${names ? " dense" : ""}${data.tags.length > onPaper ? " screen" : ""}` },
      make("caption", null, make("span", null, "Rows: as labelled. Columns: as predicted. The darker, the larger the share of the row.")),
      make("thead", null, make("tr", null, make("th", { scope: "col" }, "labelled \\ predicted"), columns.map((p) => make("th", { scope: "col" }, make("span", { class: "slanted" }, predictedName(p)))))),
      make("tbody", null, rows.map((l) => {
        const all = columns.reduce((sum, p) => sum + (cases.get(l + " " + p) ?? 0), 0);
        return make("tr", null, make("th", { scope: "row" }, labelledName(l)), columns.map((p) => cell(l, p, all)));
      }))));
  }
  return () => {
    const pairs = data.confusion[state.threshold].filter(([l, p]) => l !== p);
    const right = data.confusion[state.threshold].filter(([l, p]) => l === p).reduce((sum, [, , n]) => sum + n, 0);
    const wrong = pairs.reduce((sum, [, , n]) => sum + n, 0);
    fill("confusion-lead", `${plural(right, "case")} right, ${count(wrong)} not. ${explained}`);
    const worst = pairs.slice().sort((a, b) => b[2] - a[2]).slice(0, 30);
    table("confusion-pairs", [
      { title: "Labelled", value: (r) => (r[0] < 0 ? "" : tagName(r[0])), cell: (r) => labelledName(r[0]) },
      { title: "Predicted", value: (r) => (r[1] < 0 ? "" : tagName(r[1])), cell: (r) => predictedName(r[1]) },
      whole("Cases", (r) => r[2]),
    ], worst, { sort: { column: 2, down: true }, empty: "Nothing is confused with anything.", caption: pairs.length > worst.length ? `The ${worst.length} most frequent of ${pairs.length} pairs` : null });
    matrix();
  };
}

function changes() {
  if (!shared()) {
    return () => {
      fill("changes-lead", ...(compared ? ["There is nothing to compare: ", ...apart()] : ["There is no other iteration to compare with: this is the first one of the project that is exported."]));
      for (const id of ["changes-flow", "broken", "fixed"]) byId(id).hidden = true;
      for (const e of byId("changes").querySelectorAll("h3, details, .legends")) e.hidden = true;
    };
  }
  const words = ["fixed", "broken", "still right", "still wrong"];
  return () => {
    const now = data.changes[state.threshold];
    const [fixed, broken] = now.counts;
    const all = now.counts.reduce((a, b) => a + b, 0);
    fill("changes-lead", ["Compared with ", iterationNamed(compared), `: ${count(fixed)} fixed, ${count(broken)} broken, of ${plural(all, "case")}, on ${both()}. A case is a tag on such an image; it is wrong if any prediction of the tag is wrong or any label of it missed.`]);
    fill("changes-legend", legend([["before", "predicted before, wrong"], ["labelled thin", "of another tag"]]));
    byId("changes-flow").replaceChildren(...(all ? flow(now.counts) : []));
    table("changes-table", [
      { title: "Tag", value: (r) => (r.tag === null ? "" : tagName(r.tag)), cell: (r) => (r.tag === null ? "All" : tagNamed(r.tag)) },
      ...words.map((word, n) => whole(word[0].toUpperCase() + word.slice(1), (r) => r.n[n])),
      { title: "Fixed less broken", number: true, value: (r) => r.n[0] - r.n[1], cell: (r) => change(r.n[0] - r.n[1], "", 0) },
    ], now.tags.map(([tag, ...n]) => ({ tag, n })), { sort: { column: 5, down: false }, foot: [{ tag: null, n: now.counts }] });
    sharedTable();
    const line = (fixedOnes) => ([image, tag, beforeRight, beforeWrong, beforeMissed, before, afterRight, afterWrong, afterMissed, after]) => card(image, tagNamed(tag), { level: "h4", tag, before: fixedOnes },
      make("p", null, "Before: ", verdict(beforeRight, beforeWrong, beforeMissed, before)),
      make("p", null, "Now: ", verdict(afterRight, afterWrong, afterMissed, after)));
    const some = (list, n) => (n > list.length ? `${count(n)}, the ${list.length} whose probability moved most` : count(n));
    fill("broken-count", some(now.broken, broken));
    fill("fixed-count", some(now.fixed, fixed));
    cards("broken", now.broken, line(false), "Nothing that was right is wrong now.");
    const listed = (id, list) => table(id, [
      { title: "Image", value: (r) => data.images[r[0]].id, cell: (r) => make("code", null, data.images[r[0]].id) },
      { title: "Tag", value: (r) => tagName(r[1]), cell: (r) => tagNamed(r[1]) },
      ...[["before", 2], ["now", 6]].flatMap(([when, at]) => [
        ...["Right", "Wrong", "Missed"].map((word, n) => whole(`${word} ${when}`, (r) => r[at + n])),
        { title: `Surest ${when}`, number: true, value: (r) => r[at + 3], cell: (r) => probability(r[at + 3]) },
      ]),
    ], list, { empty: "There is none." });
    listed("broken-table", now.broken);
    listed("fixed-table", now.fixed);
    cards("fixed", now.fixed, line(true), "Nothing that was wrong is right now.");
  };
}

// sharedTable has the figures of both, by tag, on the images that both judged.
function sharedTable() {
  const { before, now } = shared();
  fill("shared-summary", `Precision, recall and F1 by tag, on ${both()}`);
  const columns = [["Precision", precision], ["Recall", recall], ["F1", f1]].flatMap(([title, place]) => [
    share(title + " before", (r) => r.before?.[place] ?? null), share(title + " now", (r) => r.now?.[place] ?? null)]);
  table("shared-table", [
    { title: "Tag", value: (r) => (r.tag === null ? "" : tagName(r.tag)), cell: (r) => (r.tag === null ? r.title : tagNamed(r.tag)) },
    ...columns,
    { title: "F1 changed", number: true, value: (r) => difference(r.now?.[f1], r.before?.[f1]), cell: (r) => change(difference(r.now?.[f1], r.before?.[f1]), "") },
  ], data.tags.map((_, tag) => ({ tag, before: before.tags[tag], now: now.tags[tag] })), {
    sort: { column: 7, down: false },
    foot: [{ tag: null, title: "All cases (micro)", before: before.micro, now: now.micro }, { tag: null, title: "Mean of tags (macro)", before: before.macro, now: now.macro }],
  });
}

function verdict(right, wrong, missed, surest) {
  const parts = [];
  if (right) parts.push(`${right} right`);
  if (wrong) parts.push(`${wrong} wrong`);
  if (missed) parts.push(`${missed} missed`);
  return (parts.join(", ") || "not predicted, rightly") + (surest === null ? "" : `, ${right + wrong > 1 ? "highest " : ""}probability ${probability(surest)}`);
}

// flow draws how many cases went from right and wrong to right and wrong.
function flow([fixed, broken, stillRight, stillWrong]) {
  const narrow = window.innerWidth < 600 && !printing;
  const width = narrow ? 380 : 640, head = 18, low = 238, foot = 22, gap = 14, bar = 14, side = narrow ? 96 : 128, left = side, right = width - side;
  const all = fixed + broken + stillRight + stillWrong;
  const scale = (low - head - gap) / all;
  const thick = (n) => n * scale;
  const before = { right: stillRight + broken, wrong: fixed + stillWrong };
  const after = { right: stillRight + fixed, wrong: broken + stillWrong };
  const top = (side) => head + thick(side.right) + gap;
  const bands = [
    ["still-right", stillRight, head, head],
    ["broken", broken, head + thick(stillRight), top(after)],
    ["fixed", fixed, top(before), head + thick(stillRight)],
    ["still-wrong", stillWrong, top(before) + thick(fixed), top(after) + thick(broken)],
  ];
  const middle = (left + right) / 2;
  const text = (x, y, anchor, word, n) => make("text", { x, y: Math.min(Math.max(y, head + 10), low), "text-anchor": anchor }, make("tspan", { class: "strong" }, count(n)), " " + word);
  const end = (word, iteration) => make("span", null, make("b", null, word), " ", iterationNamed(iteration));
  // The two that matter are named where they start, on the sides that they do not
  // cross: above what leaves the top, below what leaves the bottom.
  const band = (kind, n, y) => (n ? make("text", { class: "band " + kind, x: left + 10, y }, make("tspan", { class: "strong" }, kind), " " + count(n)) : null);
  return [make("p", { class: "ends" }, end("Before:", compared), end("Now:", shown)), make("svg", { viewBox: `0 0 ${width} ${low + foot}`, role: "img", "aria-label": `Right before: ${before.right}, of which ${broken} are broken. Wrong before: ${before.wrong}, of which ${fixed} are fixed. Right now: ${after.right}. Wrong now: ${after.wrong}.` },
    bands.filter(([, n]) => n > 0).map(([kind, n, from, to]) => {
      const h = Math.max(1.5, thick(n));
      return make("path", { class: kind, d: `M${left} ${from}C${middle} ${from} ${middle} ${to} ${right} ${to}V${to + h}C${middle} ${to + h} ${middle} ${from + h} ${left} ${from + h}Z` },
        make("title", null, `${kind.replace("-", " ")}: ${count(n)}`));
    }),
    [[left - bar, before], [right, after]].map(([x, side]) => [
      side.right ? make("rect", { class: "side was-right", x, y: head, width: bar, height: thick(side.right) }) : null,
      side.wrong ? make("rect", { class: "side was-wrong", x, y: top(side), width: bar, height: thick(side.wrong) }) : null]).flat().filter(Boolean),
    text(left - bar - 6, head + thick(before.right) / 2 + 4, "end", "right", before.right),
    text(left - bar - 6, top(before) + thick(before.wrong) / 2 + 4, "end", "wrong", before.wrong),
    text(right + bar + 6, head + thick(after.right) / 2 + 4, "start", "right", after.right),
    text(right + bar + 6, top(after) + thick(after.wrong) / 2 + 4, "start", "wrong", after.wrong),
    band("broken", broken, bands[1][2] - 5), band("fixed", fixed, bands[2][2] + thick(fixed) + 14))];
}

function hardest() {
  return () => {
    const rows = data.hardest[state.threshold].map(([image, error, right, wrong, missed], n) => ({ place: n + 1, image, error, right, wrong, missed }));
    const total = data.hardTotal[state.threshold];
    fill("hardest-lead", total === 0 ? "No image has a mistake." : [`${plural(total, "image")} of ${count(shown.images)} ${total === 1 ? "has" : "have"} mistakes; these are the ${rows.length} that are most wrong. The error is the sum of how sure the model was of what is wrong, and how unsure of what is missed. `, legend()]);
    cards("hardest", rows, (r) => card(r.image, `${r.place}. Error ${r.error.toFixed(2)}`, {}, make("p", null, `${r.right} right, ${r.wrong} wrong, ${r.missed} missed`)), "There is none.");
    table("hardest-table", [
      { title: "Image", value: (r) => data.images[r.image].id, cell: (r) => make("code", null, data.images[r.image].id) },
      { title: "Error", number: true, value: (r) => r.error, cell: (r) => r.error.toFixed(3) },
      whole("Right", (r) => r.right), whole("Wrong", (r) => r.wrong), whole("Missed", (r) => r.missed),
    ], rows, { empty: "There is none." });
  };
}

// suspects are the same at every threshold: each tag has its own.
function suspects() {
  const words = {
    swapped: (r) => ["labelled ", tagNamed(r.labelled), ", looks like ", tagNamed(r.predicted)],
    overlooked: (r) => ["not labelled, looks like ", tagNamed(r.predicted)],
    superfluous: (r) => ["labelled ", tagNamed(r.labelled), ", which it does not look like"],
    badly_placed: (r) => ["the box of ", tagNamed(r.labelled), ` seems misplaced (overlap ${r.overlap.toFixed(2)})`],
  };
  const what = { swapped: "wrong tag", overlooked: "missing label", superfluous: "superfluous label", badly_placed: "misplaced box" };
  const why = (r) => [
    r.predicted < 0 ? null : `${tagName(r.predicted)} is predicted with ${sureness(r.sure)}, where it is labelled with ${sureness(r.usual)} on average.`,
    r.labelled < 0 || r.kind === "badly_placed" ? null : `${tagName(r.labelled)} is predicted with ${sureness(r.labelSure)}, where it is not labelled with ${sureness(r.labelUsual)} on average.`,
  ].filter(Boolean).join(" ");
  const rows = data.suspects.map(([image, kind, score, predicted, sure, usual, labelled, labelSure, labelUsual, prediction, label, overlap], n) =>
    ({ place: n + 1, image, kind, score, predicted, sure, usual, labelled, labelSure, labelUsual, prediction, label, overlap }));
  const total = data.suspectTotal;
  return () => {
    fill("suspects-lead", total === 0 ? "No label looks wrong or missing." : [`${plural(total, "label")} ${total === 1 ? "looks" : "look"} wrong, missing or misplaced: there the model contradicts the labels, and is surer than it usually is of that tag. The most suspect come first; the slider does not change them. The model may be wrong too: look. `, legend([["labelled thin", "the others"]])]);
    cards("suspects", rows, (r) => card(r.image, `${r.place}. ${what[r.kind]}, score ${r.score.toFixed(2)}`, { prediction: r.prediction, label: r.label }, make("p", null, words[r.kind](r)), make("p", null, why(r))), "There is none.");
    table("suspects-table", [
      { title: "Image", value: (r) => data.images[r.image].id, cell: (r) => make("code", null, data.images[r.image].id) },
      { title: "Suspicion", value: (r) => what[r.kind] },
      { title: "Labelled", value: (r) => (r.labelled < 0 ? null : tagName(r.labelled)), cell: (r) => (r.labelled < 0 ? none : tagNamed(r.labelled)) },
      { title: "Looks like", value: (r) => (r.predicted < 0 ? null : tagName(r.predicted)), cell: (r) => (r.predicted < 0 ? none : tagNamed(r.predicted)) },
      { title: "Score", number: true, value: (r) => r.score, cell: (r) => r.score.toFixed(3) },
    ], rows, { empty: "There is none." });
  };
}
