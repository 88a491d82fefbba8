// COCO's twelve numbers. They do not depend on the slider.

function coco() {
  const c = data.coco;
  byId("coco").hidden = false;
  const sizes = { all: "any size", small: "up to 32 × 32 pixels", medium: "32 × 32 to 96 × 96 pixels", large: "from 96 × 96 pixels" };
  const means = (f) => `Mean ${f.name.startsWith("AP") ? "average precision" : "recall"} of the tags at overlap ${f.overlap.replace(":", " to ")}, labels of ${sizes[f.area]}, at most ${plural(f.detections, "detection")} of a tag in an image`;
  const now = c.figures ?? [];
  const before = (f) => c.before?.[now.indexOf(f)]?.value ?? null;
  const lead = ["The twelve numbers by which COCO compares detectors: mean average precision (AP) and recall (AR) of the tags, at overlaps of 0.50 to 0.95 if not said otherwise, in pixels. "];
  if (c.missing) lead.push(`They are missing: ${c.missing}.`);
  else lead.push(`They rest on ${plural(c.images, "image")} and ${plural(now[0].labels, "label")}`, c.before ? [", those of ", iterationNamed(compared), ` on ${plural(c.imagesBefore, "image")} and ${plural(c.before[0].labels, "label")}: each on its own.`] : ".");
  if (c.missingBefore) lead.push(" Those of ", iterationNamed(compared), ` are missing: ${c.missingBefore}.`);
  fill("coco-lead", lead);
  if (c.missing) { byId("coco-table").hidden = true; byId("coco-note").hidden = true; return () => {}; }
  const order = (f) => now.indexOf(f);
  table("coco-table", [
    { title: "Figure", value: order, cell: (f) => make("span", { title: means(f) }, f.name) },
    share("Value", (f) => f.value),
    ...(c.before ? [
      share("Before", before, "Of the iteration compared with"),
      { title: "Changed", number: true, value: (f) => difference(f.value, before(f)), cell: (f) => change(difference(f.value, before(f)), "") },
    ] : []),
    { title: "Overlap", value: (f) => f.overlap }, { title: "Size", help: "Of the label, in pixels", value: (f) => f.area, cell: (f) => make("span", { title: sizes[f.area] }, f.area) },
    whole("Detections", (f) => f.detections, "How many of a tag count in an image, the surest ones"), whole("Labels", (f) => f.labels, "How many labels of that size there are"),
  ], now);
  fill("coco-note", "Small is up to 32 by 32 pixels, medium up to 96 by 96. COCO gives a box the best region that is not taken yet; the figures above compare it with the best one only, as PASCAL VOC does, so they differ.");
  return () => {};
}
