// The page: what it is about, the slider, and which sections it has.

function about() {
  const kinds = { multiclass: "one tag an image", multilabel: "several tags an image", detection: "object detection" };
  fill("project", data.project.name);
  fill("subject", make("b", null, iterationNamed(shown)), `, ${kinds[data.kind] ?? data.kind}`, day(shown) ? `, trained on ${day(shown)}` : null,
    shown.published ? [", published as ", named(shown.published)] : null, `, ${plural(shown.images, "evaluated image")}`,
    compared ? [", compared with ", iterationNamed(compared)] : null, ".");
  const limited = [shown, compared].filter((i) => i?.filtered);
  byId("limited").hidden = limited.length === 0;
  fill("limited", "Filtered: ", limited.map((i, n) => [n ? " and " : "the export of ", named(i.name)]),
    " was limited to images with some tags. Its figures look better than they are, and do not compare with those of a whole export.");
  const notes = [];
  if (!lacks()) notes.push(`The slider stops at ${data.thresholds.length} thresholds, each evaluated by itself.`);
  notes.push(...data.notes, `Project ${data.project.id}, iteration ${shown.id}${compared ? `, compared with ${compared.id}` : ""}.`);
  fill("notes", notes.map((note) => make("li", null, note)));
}

// What is gone to stays below the bar, however many lines that has.
const underBar = () => document.documentElement.style.setProperty("--bar", byId("bar").offsetHeight + "px");

function slider() {
  new ResizeObserver(underBar).observe(byId("bar"));
  const input = byId("threshold"), value = byId("threshold-value"), reset = byId("threshold-reset");
  input.max = data.thresholds.length - 1;
  input.value = state.threshold;
  reset.textContent = `Back to ${data.thresholds[data.start]}`;
  const tell = () => {
    value.textContent = threshold();
    input.setAttribute("aria-valuetext", String(threshold()));
    reset.disabled = state.threshold === data.start;
  };
  let waiting = false;
  const moved = () => {
    state.threshold = Number(input.value);
    charts.forEach((chart) => chart.rest());
    tell();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update();
      const now = metricsNow().micro ?? [];
      say(`At threshold ${threshold()}: precision ${percent(now[precision])}, recall ${percent(now[recall])}, F1 ${percent(now[f1])}`);
    });
  };
  input.addEventListener("input", moved);
  reset.addEventListener("click", () => { input.value = data.start; moved(); input.focus(); });
  tell();
}

// start leaves out what there is nothing to show of.
function start() {
  about();
  slider();
  const what = lacks();
  // What one iteration lacks, others may have.
  const figures = data.trend[0].some((f) => f[1] !== null);
  const trending = data.iterations.length > 1 && (!what || figures || data.iterations.some((i) => i.images > 0 && i.averagePrecision !== null));
  if (!trending) hide("trend");
  if (what) {
    unjudged(what, trending && figures);
    return trending ? [trend()] : [];
  }
  const sections = [headline];
  if (trending) sections.push(trend());
  sections.push(curve(), tags(), ...(data.coco ? [coco()] : []), confusion(), changes(), hardest(), suspects());
  return sections;
}

const hide = (...ids) => ids.forEach((id) => { byId(id).hidden = true; });

// unjudged says why an iteration cannot be judged.
function unjudged(what, moving) {
  const micro = data.metrics[0].micro, nothing = labelsOf(micro) + predictionsOf(micro) === 0;
  const images = `None of the ${plural(shown.images, "image")} has a label`;
  const why = {
    image: "This iteration has no evaluated images, so there is nothing to judge it by.",
    label: nothing ? `${images} or a prediction, so there is nothing to judge the iteration by.`
      : `${images}, so it cannot be judged whether what is predicted is right, nor whether the iteration is better than another.`,
    prediction: `The iteration cannot be judged: it has no ${lacking.prediction} on any of its ${plural(shown.images, "image")}, so all of the ${plural(labelsOf(micro), "label")} are missed.`,
  }[what];
  const own = [["precision", shown.precision], ["recall", shown.recall], ["mAP", shown.averagePrecision]].filter(([, v]) => v !== null);
  byId("nothing").hidden = false;
  fill("nothing", why, own.some(([, v]) => v > 0) ? ` The service says: ${own.map(([name, v]) => `${name} ${percent(v)}`).join(", ")}.` : null);
  hide("headline", "tags", "curve", "confusion", "changes", "hardest-section", "suspects-section");
  if (!moving) hide("bar");
}

const sections = start();

function update() {
  for (const section of sections) section();
  document.documentElement.dataset.threshold = threshold(); // that the page shows by now
}

update();
document.documentElement.dataset.ready = "true";
