// The page: what it is about, the slider, and which sections it has.

function about() {
  const kinds = { multiclass: "one tag an image", multilabel: "several tags an image", detection: "object detection" };
  fill("project", data.project.name);
  fill("subject", make("b", null, iterationNamed(shown)), `, ${kinds[data.kind] ?? data.kind}`, day(shown) ? `, trained on ${day(shown)}` : null,
    shown.published ? [", published as ", named(shown.published)] : null, `, ${plural(shown.images, "evaluated image")}`,
    compared ? [", compared with ", iterationNamed(compared)] : null, ".");
  const notes = [];
  if (shown.filtered) notes.push("The export was limited to some tags: only images with any of these are in it.");
  if (compared?.filtered && !shown.filtered) notes.push("The export of the iteration compared with was limited to some tags.");
  if (data.thresholds.length) notes.push(`The slider stops at ${data.thresholds.length} thresholds, each evaluated by itself.`);
  notes.push(...data.notes, `Project ${data.project.id}, iteration ${shown.id}${compared ? `, compared with ${compared.id}` : ""}.`);
  fill("notes", notes.map((note) => make("li", null, note)));
}

function slider() {
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
    tell();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update();
      const now = metricsNow().micro;
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
  const hide = (...ids) => ids.forEach((id) => { byId(id).hidden = true; });
  if (data.tags.length === 0) {
    hide("bar", "headline", "tags", "curve", "confusion", "changes", "hardest-section", "suspects-section");
    if (data.iterations.length < 2) hide("trend");
    byId("nothing").hidden = false;
    fill("nothing", shown.images === 0 ? "This iteration has no evaluated images, so there is nothing to judge it by." : `None of the ${plural(shown.images, "image")} has a label or a prediction, so there is nothing to judge the iteration by.`);
    return data.iterations.length < 2 ? [] : [trend()];
  }
  slider();
  const sections = [() => headline()];
  if (data.iterations.length > 1) sections.push(trend());
  else hide("trend");
  sections.push(curve(), tags(), confusion(), changes(), hardest(), suspects());
  return sections;
}

const sections = start();

function update() {
  for (const section of sections) section();
  document.documentElement.dataset.threshold = threshold(); // that the page shows by now
}

update();
document.documentElement.dataset.ready = "true";
