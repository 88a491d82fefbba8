// Pictures of images, with what was labelled and what was predicted on them.

// Names and numbers of an image's lists, in their places.
const prediction = ([tag, probability, right, index, ...box]) => ({ tag, probability, right: right === 1, index, box });
const label = ([tag, found, index, ...box]) => ({ tag, found, index, box });
const earlier = ([tag, probability, ...box]) => ({ tag, probability, box });

// seen is an image as the model sees it at the slider's threshold, with what a card
// is about: a tag and what the earlier iteration took for it, or one prediction and
// label; all of it otherwise.
function seen(at, { tag, before, prediction: p, label: l }) {
  const image = data.images[at];
  const one = p !== undefined || l !== undefined;
  const about = (thing, index) => (tag !== undefined ? thing.tag === tag : !one || thing.index === index);
  const predictions = image.predictions.map(prediction).map((x) => ({ ...x, about: about(x, p) }));
  return {
    ...image, narrow: one || tag !== undefined, likely: predictions,
    predictions: predictions.filter((x) => x.probability >= threshold()),
    labels: image.labels.map(label).map((x) => ({ ...x, missed: x.found === null || x.found < threshold(), about: about(x, l) })),
    before: before ? (image.before ?? []).map(earlier).filter((x) => x.tag === tag && x.probability >= threshold()) : [],
  };
}

// picture is the image, or its outline, with boxes to scale. What the card is not
// about is thin and has no text.
function picture(image) {
  const width = image.w ?? 400, height = image.h ?? 300;
  const unit = Math.max(width / 250, height / 288); // about a pixel of the card
  const drawn = make("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": describe(image) });
  drawn.append(make("rect", { class: "outline", width, height }));
  if (image.picture) drawn.append(make("image", { href: image.picture, width, height, preserveAspectRatio: "none" }));
  if (!detection) return drawn;
  const boxes = [
    ...image.before.map((p) => ({ ...p, about: true, kind: "before", text: `before ${probability(p.probability)}` })),
    ...image.labels.map((l) => ({ ...l, kind: l.missed ? "missed" : "labelled", text: cut(tagName(l.tag)), below: true })),
    ...image.predictions.map((p) => ({ ...p, kind: p.right ? "right" : "wrong", text: `${cut(tagName(p.tag))} ${probability(p.probability)}` })),
  ].map((b) => ({ ...b, x: b.box[0] * width, y: b.box[1] * height, width: b.box[2] * width, height: b.box[3] * height }));
  for (const b of boxes.sort((one, other) => one.about - other.about)) {
    const { x, y, width: w, height: h } = b;
    if (b.about) drawn.append(make("rect", { class: "halo", x, y, width: w, height: h }));
    else drawn.append(make("rect", { class: b.kind + " thin", x, y, width: w, height: h }, make("title", null, b.text)));
  }
  for (const { kind, text, x, y, width: w, height: h } of boxes.filter((b) => b.about)) {
    drawn.append(make("rect", { class: kind, x, y, width: w, height: h }, make("title", null, text)));
  }
  // Texts come last, above all boxes, and where they meet no other; one that has no
  // such place is told by its box's title.
  const taken = [];
  for (const b of boxes.filter((b) => b.about)) {
    const long = Array.from(b.text).reduce((sum, c) => sum + (c > "\u2e80" ? 12 : 7), 0) * unit, tall = 12 * unit;
    const free = [b.y - 3 * unit, b.y + b.height + 10 * unit, b.y + 12 * unit, b.y + b.height - 4 * unit, b.y - 15 * unit, b.y + b.height + 22 * unit];
    const place = (b.below ? [1, 3, 0, 2, 5, 4] : [0, 2, 1, 3, 4, 5]).flatMap((n) => [b.x + 3 * unit, b.x + b.width - long].map((x) => {
      const left = Math.max(2 * unit, Math.min(x, width - long));
      return { x: left, y: free[n], right: left + long, top: free[n] - tall };
    })).find((p) => p.top >= 0 && p.y <= height - 2 * unit && !taken.some((t) => p.x < t.right && p.right > t.x && p.top < t.y && p.y > t.top));
    if (!place) continue;
    taken.push(place);
    drawn.append(make("text", { class: b.kind, x: place.x, y: place.y, "font-size": 11.5 * unit, "stroke-width": 3 * unit }, b.text));
  }
  return drawn;
}

// cut shortens a name by whole characters.
function cut(text, length = 16) {
  const name = seenName(text);
  const characters = Array.from(name);
  return characters.length > length ? characters.slice(0, length - 1).join("") + "…" : name;
}

function describe(image) {
  const labels = image.labels.map((l) => `${cut(tagName(l.tag), 40)}${l.missed ? " (missed)" : ""}`);
  const predictions = image.predictions.map((p) => `${cut(tagName(p.tag), 40)} ${probability(p.probability)}${p.right ? "" : " (wrong)"}`);
  return `Labelled ${labels.join(", ") || "nothing"}. Predicted ${predictions.join(", ") || "nothing"}.`;
}

// bars shows a classifier's surest predictions and the labels.
function bars(image) {
  const labelled = new Map(image.labels.map((l) => [l.tag, l]));
  const lines = image.likely.filter((p) => p.probability >= threshold() || labelled.has(p.tag)).map((p) => ({ tag: p.tag, probability: p.probability, label: labelled.get(p.tag), about: image.narrow && (p.about || labelled.get(p.tag)?.about) }));
  for (const l of image.labels) {
    if (!lines.some((line) => line.tag === l.tag)) lines.push({ tag: l.tag, probability: null, label: l, about: image.narrow && l.about });
  }
  // What the card is about is among the first eight.
  const all = [...lines.filter((line) => line.about), ...lines.filter((line) => !line.about)].slice(0, 8);
  return make("ul", { class: "bars" }, all.map((line) => {
    const sure = line.probability !== null && line.probability >= threshold();
    const kind = line.label ? (sure ? "right" : "missed") : "wrong";
    const word = { right: "labelled, found", missed: "labelled, missed", wrong: "not labelled" }[kind];
    return make("li", { class: line.about ? kind + " about" : kind },
      tagNamed(line.tag), make("span", { class: "number" }, line.probability === null ? "< " + data.thresholds[0] : probability(line.probability)),
      make("span", { class: "bar-of", "aria-hidden": "true" }, make("span", { style: `width: ${(line.probability ?? 0) * 100}%` }), make("i", { style: `left: ${threshold() * 100}%` })),
      make("span", { class: "word" }, word));
  }), lines.length > all.length ? make("li", { class: "more" }, `and ${lines.length - all.length} more`) : null);
}

// card is one image of a list.
function card(at, head, { level = "h3", ...what }, ...about) {
  const image = seen(at, what);
  return make("article", { class: "card" },
    make(level, null, head),
    detection || image.picture ? picture(image) : null,
    detection ? null : bars(image),
    ...about,
    make("p", { class: "id" }, make("code", null, image.id), image.w ? ` ${image.w} × ${image.h}` : " size unknown"));
}

const folded = window.innerWidth < 600 ? 4 : 8; // cards that a list shows at first
const unfolded = new Set();

// cards shows a list, and a button for what of it does not show at first.
function cards(id, list, one, empty) {
  if (list.length === 0) {
    fill(id, make("p", { class: "note" }, empty));
    return;
  }
  const all = unfolded.has(id);
  const more = list.length - folded;
  fill(id, list.slice(0, all ? list.length : folded).map(one), more > 0
    ? make("button", { type: "button", class: "unfold", onclick: () => {
      if (all) unfolded.delete(id); else unfolded.add(id);
      cards(id, list, one, empty);
      byId(id).querySelector("button.unfold").focus();
    } }, all ? "Show fewer" : `Show ${more} more`) : null);
}

const legend = (more = []) => (detection
  ? [["labelled", "labelled, found"], ["missed", "labelled, missed"], ["right", "predicted, right"], ["wrong", "predicted, wrong"], ...more]
    .map(([kind, text]) => make("span", { class: "legend" }, make("svg", { viewBox: "0 0 22 14", "aria-hidden": "true" }, make("rect", { class: kind, x: 2, y: 2, width: 18, height: 10 })), text))
  : null);
