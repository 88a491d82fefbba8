// What every part of the page uses: the data, the state, and how things are
// written. Names come from people, so they only ever become text.

const data = JSON.parse(document.getElementById("data").textContent);
const detection = data.kind === "detection";
const shown = data.iterations[data.shown];
const compared = data.compared < 0 ? null : data.iterations[data.compared];

const state = { threshold: data.start, tag: 0 };

const byId = (id) => document.getElementById(id);

const svgSpace = "http://www.w3.org/2000/svg";
const svgTags = new Set(["svg", "g", "rect", "path", "text", "tspan", "line", "circle", "image", "title"]);

// make makes an element. A child is an element, a text, or nothing.
function make(tag, attributes, ...children) {
  const e = svgTags.has(tag) ? document.createElementNS(svgSpace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return e;
}

function fill(id, ...children) {
  byId(id).replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
}

// A name keeps its own direction, and is cut where there is no room for it.
// One of blanks alone would be a row or a link that nobody sees.
const seenName = (text) => (/^(?:[\s\p{Cc}\p{Cf}\p{Z}]|\\[ux][0-9a-f]{2,8})*$/u.test(text) ? "(no name)" : text);
const named = (text) => make("bdi", { class: "name", title: seenName(text) }, seenName(text));
const tagName = (t) => data.tags[t].name;
const tagNamed = (t) => named(tagName(t));
// An export of some images only is marked wherever its figures may be.
const iterationNamed = (i) => (i.filtered ? make("span", null, named(i.name), " (filtered)") : named(i.name));

const none = "–";
const space = "\u202f"; // narrow, and no line ends at it
const percent = (v) => (v === null || v === undefined ? none : (v * 100).toFixed(1) + space + "%");
const count = (v) => (v === null || v === undefined ? none : v.toLocaleString("en"));
const probability = (v) => {
  if (v === null || v === undefined) return none;
  if (v > 0 && v < 0.001) return "< 0.001";
  return v > 0.999 && v < 1 ? "> 0.999" : Number(v.toPrecision(3)).toString();
};
// How sure the model is; never quite, where that is only rounded.
const sureness = (v) => (v >= 0.9995 ? `> 99.9${space}%` : v > 0 && v < 0.0005 ? `< 0.1${space}%` : percent(v));
const threshold = () => data.thresholds[state.threshold];
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many ?? one + "s"}`;
const day = (i) => i.trained.slice(0, 10);

// The iteration's figures on its own images.
const metricsNow = () => data.metrics[state.threshold];
// Both iterations' figures on the images that both judged; null if there is nothing to
// compare.
const shared = () => (data.verdict ? data.shared[state.threshold] : null);

// The places of the figures in a row of tag_metrics.
const truePositives = 0, falsePositives = 1, falseNegatives = 2, precision = 3, recall = 4, f1 = 5;
const labelsOf = (row) => (row ? row[truePositives] + row[falseNegatives] : 0);
const predictionsOf = (row) => (row ? row[truePositives] + row[falsePositives] : 0);

const lacking = { image: "evaluated image", label: "label", prediction: `prediction of ${data.thresholds[0]} or surer` };

// lacks is what the iteration has none of, without which it cannot be judged.
function lacks() {
  if (shown.images === 0) return "image";
  if (labelsOf(data.metrics[0].micro) === 0) return "label";
  return predictionsOf(data.metrics[0].micro) === 0 ? "prediction" : null;
}

// apart says why the two cannot be compared.
function apart() {
  const { side, what } = data.apart;
  if (what === "image") return ["no image is in both."];
  return [iterationNamed(side === "now" ? shown : compared), ` has no ${lacking[what]} on ${both()}.`];
}

const both = () => (data.shared[0].images === 1 ? "the 1 image that both judged" : `the ${count(data.shared[0].images)} images that both judged`);
const own = () => `its own ${plural(shown.images, "image")}`;

// difference is in points: hundredths, as percentages are.
function difference(now, before) {
  if (now === null || before === null || now === undefined || before === undefined) return null;
  return (now - before) * 100;
}

const signed = (d, digits = 1) => (d > 0 ? "+" : d < 0 ? "−" : "±") + Math.abs(d).toFixed(digits);

// change shows a difference by sign, arrow and colour.
function change(d, unit = "points", digits = 1) {
  if (d === null) return make("span", { class: "same" }, none);
  const rounded = Number(d.toFixed(digits));
  const way = rounded > 0 ? "up" : rounded < 0 ? "down" : "same";
  const arrow = { up: "▲ ", down: "▼ ", same: "" }[way];
  return make("span", { class: way }, make("span", { "aria-hidden": "true" }, arrow), signed(rounded, digits), unit ? " " + unit : null);
}

// say lets a screen reader tell what has changed.
const say = (text) => { byId("live").textContent = text; };
