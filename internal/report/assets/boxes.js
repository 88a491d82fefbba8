// Pictures of images, with what was labelled and what was predicted on them.

// Names and numbers of an image's lists, in their places.
const prediction = ([tag, probability, right, index, ...box]) => ({ tag, probability, right: right === 1, index, box });
const label = ([tag, found, index, ...box]) => ({ tag, found, index, box });

// seen is an image as the model sees it at the slider's threshold.
function seen(at) {
  const image = data.images[at];
  return {
    ...image,
    predictions: image.predictions.map(prediction).filter((p) => p.probability >= threshold()),
    likely: image.predictions.map(prediction),
    labels: image.labels.map(label).map((l) => ({ ...l, missed: l.found === null || l.found < threshold() })),
  };
}

// picture is the image, or its outline, with boxes to scale.
function picture(image) {
  const width = image.w ?? 400, height = image.h ?? 300;
  const unit = Math.max(width / 250, height / 288); // about a pixel of the card
  const drawn = make("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": describe(image) });
  drawn.append(make("rect", { class: "outline", width, height }));
  if (image.picture) drawn.append(make("image", { href: image.picture, width, height, preserveAspectRatio: "none" }));
  if (!detection) return drawn;
  const box = (b, kind, text, below) => {
    const [left, top, w, h] = [b[0] * width, b[1] * height, b[2] * width, b[3] * height];
    const y = below ? Math.min(height - 3 * unit, top + h - 4 * unit) : Math.max(12 * unit, top - 3 * unit);
    drawn.append(
      make("rect", { class: "halo", x: left, y: top, width: w, height: h }),
      make("rect", { class: kind, x: left, y: top, width: w, height: h }),
      make("text", { class: kind, x: Math.max(2 * unit, Math.min(left + 3 * unit, width - 7 * unit * Array.from(text).length)), y, "font-size": 11.5 * unit, "stroke-width": 3 * unit }, text));
  };
  for (const l of image.labels) box(l.box, l.missed ? "missed" : "labelled", cut(tagName(l.tag)), true);
  for (const p of image.predictions) box(p.box, p.right ? "right" : "wrong", `${cut(tagName(p.tag))} ${probability(p.probability)}`, false);
  return drawn;
}

// cut shortens a name by whole characters.
function cut(name, length = 16) {
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
  const lines = image.likely.filter((p) => p.probability >= threshold() || labelled.has(p.tag)).map((p) => ({ tag: p.tag, probability: p.probability, label: labelled.get(p.tag) }));
  for (const l of image.labels) {
    if (!lines.some((line) => line.tag === l.tag)) lines.push({ tag: l.tag, probability: null, label: l });
  }
  const all = lines.slice(0, 8);
  return make("ul", { class: "bars" }, all.map((line) => {
    const sure = line.probability !== null && line.probability >= threshold();
    const kind = line.label ? (sure ? "right" : "missed") : "wrong";
    const word = { right: "labelled, found", missed: "labelled, missed", wrong: "not labelled" }[kind];
    return make("li", { class: kind },
      tagNamed(line.tag), make("span", { class: "number" }, line.probability === null ? "< " + data.thresholds[0] : probability(line.probability)),
      make("span", { class: "bar-of", "aria-hidden": "true" }, make("span", { style: `width: ${(line.probability ?? 0) * 100}%` }), make("i", { style: `left: ${threshold() * 100}%` })),
      make("span", { class: "word" }, word));
  }), lines.length > all.length ? make("li", { class: "more" }, `and ${lines.length - all.length} more`) : null);
}

// card is one image of a list.
function card(at, head, ...about) {
  const image = seen(at);
  return make("article", { class: "card" },
    make("h4", null, head),
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

const legend = () => (detection
  ? [["labelled", "labelled, found"], ["missed", "labelled, missed"], ["right", "predicted, right"], ["wrong", "predicted, wrong"]]
    .map(([kind, text]) => make("span", { class: "legend" }, make("svg", { viewBox: "0 0 22 14", "aria-hidden": "true" }, make("rect", { class: kind, x: 2, y: 2, width: 18, height: 10 })), text))
  : null);
