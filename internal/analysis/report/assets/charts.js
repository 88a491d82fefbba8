// The two line charts. Chartist draws them as SVG; beside that each has a cursor,
// which pointer and arrow keys move, and which says in words what is there.

const charts = [];
let printing = false; // on paper, charts have one width

matchMedia("print").addEventListener("change", (media) => {
  printing = media.matches;
  update();
});

// lineChart draws into a place. draw returns the chart's series, axes and stops;
// a stop is an x that the cursor can be at, with its text. Until a reader moves the
// cursor it is at rest, which is a stop of its own or the one where it starts.
function lineChart(id, readout, label, draw) {
  const plot = make("div", { class: "plot", "aria-hidden": "true" });
  const line = make("div", { class: "line" });
  const cursor = make("div", { class: "cursor", tabindex: "0", role: "slider", "aria-label": label, "aria-orientation": "horizontal" }, line);
  byId(id).replaceChildren(plot, cursor);
  const chart = { at: null, update: () => {}, rest: () => { chart.at = null; } };
  let chartist = null, what = null, rect = null, size = null;

  chart.update = () => {
    what = draw();
    size = printing ? { width: 680, height: 260 } : { width: byId(id).clientWidth || 600, height: window.innerWidth < 600 ? 230 : 300 };
    const options = {
      viewBox: size, lineSmooth: false, showPoint: true,
      chartPadding: { top: what.yTitle ? 26 : 12, right: 18, bottom: what.xTitle ? 22 : 6, left: 8 },
      axisX: { type: Chartist.FixedScaleAxis, low: what.x.low, high: what.x.high, ticks: what.x.ticks, showLabel: false, offset: 22 },
      axisY: { type: Chartist.FixedScaleAxis, low: what.y.low, high: what.y.high, ticks: what.y.ticks, showLabel: false, offset: 44 },
    };
    if (chartist) {
      chartist.update({ series: what.series }, options);
      return;
    }
    chartist = new Chartist.LineChart(plot, { series: what.series }, options);
    chartist.on("draw", decorate);
    chartist.on("created", (drawn) => {
      rect = drawn.chartRect;
      axisTitles(drawn.svg);
      thinOut([...plot.querySelectorAll("text.across")]);
      move(chart.at);
    });
  };

  // Labels as text of the SVG: it prints and scales with the rest.
  function decorate(drawn) {
    if (drawn.type === "grid") {
      const across = drawn.axis.units.pos === "x";
      const tick = drawn.axis.ticks[drawn.index];
      const text = across ? what.x.label(tick) : what.y.label(tick);
      const place = across ? { x: drawn.x1, y: drawn.y2 + 17, "text-anchor": "middle" } : { x: drawn.x1 - 6, y: drawn.y1 + 4, "text-anchor": "end" };
      drawn.group.elem("text", place, across ? "label across" : "label").text(text);
    }
    if (drawn.type === "point" && !drawn.series.points) drawn.element.remove();
  }

  // thinOut leaves every second, third ... label, the last one among them, so that
  // none meets its neighbour; how wide a name is only the browser knows.
  function thinOut(labels) {
    const places = labels.map((label) => {
      const half = label.getComputedTextLength() / 2;
      const x = Math.min(Math.max(Number(label.getAttribute("x")), half + 1), size.width - half - 1);
      label.setAttribute("x", x);
      return { from: x - half, to: x + half };
    });
    const last = labels.length - 1;
    const kept = (every) => places.filter((_, n) => (last - n) % every === 0);
    let every = 1;
    while (kept(every).some((place, n, all) => n > 0 && place.from < all[n - 1].to + 10)) every++;
    labels.forEach((label, n) => { if ((last - n) % every) label.remove(); });
  }

  function axisTitles(svg) {
    if (what.xTitle) svg.elem("text", { x: (rect.x1 + rect.x2) / 2, y: size.height - 4, "text-anchor": "middle" }, "title").text(what.xTitle);
    if (what.yTitle) svg.elem("text", { x: 4, y: 12 }, "title").text(what.yTitle);
  }

  const xOf = (stop) => rect.x1 + (rect.x2 - rect.x1) * (stop.x - what.x.low) / (what.x.high - what.x.low || 1);

  // move puts the cursor at a stop, or to rest for null.
  function move(to) {
    if (what.stops.length === 0) {
      cursor.hidden = true;
      fill(readout, what.empty ?? "");
      return;
    }
    cursor.hidden = false;
    const at = Math.min(Math.max(to ?? what.start, 0), what.stops.length - 1);
    chart.at = to === null ? null : at;
    const stop = (to === null && what.rest) || what.stops[at];
    line.style.left = (xOf(stop) / size.width) * 100 + "%";
    line.style.top = (rect.y2 / size.height) * 100 + "%";
    line.style.height = ((rect.y1 - rect.y2) / size.height) * 100 + "%";
    fill(readout, stop.text());
    cursor.setAttribute("aria-valuemin", 0);
    cursor.setAttribute("aria-valuemax", what.stops.length - 1);
    cursor.setAttribute("aria-valuenow", at);
    cursor.setAttribute("aria-valuetext", byId(readout).textContent);
  }

  cursor.addEventListener("keydown", (event) => {
    const at = chart.at ?? what.start, last = what.stops.length - 1, far = Math.max(1, Math.round(last / 10));
    const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, PageUp: at + far, PageDown: at - far, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
  const point = (event) => {
    const box = cursor.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * size.width;
    let best = 0;
    what.stops.forEach((stop, n) => { if (Math.abs(xOf(stop) - x) < Math.abs(xOf(what.stops[best]) - x)) best = n; });
    move(best);
  };
  cursor.addEventListener("pointermove", point);
  cursor.addEventListener("pointerdown", point);
  // A mouse that passes leaves nothing behind that contradicts the slider.
  cursor.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") move(null); });
  charts.push(chart);
  new ResizeObserver(() => {
    if (size && !printing && byId(id).clientWidth > 0 && byId(id).clientWidth !== size.width) chart.update();
  }).observe(byId(id));
  return chart;
}

// A key to the lines of a chart, each with the look of its line.
const key = (entries) => make("ul", { class: "key" }, entries.map(([look, ...text]) => make("li", null,
  make("svg", { class: "sample ct-series " + look, viewBox: "0 0 28 10", "aria-hidden": "true" }, make("path", { class: "ct-line", d: "M1 5H27" })), ...text)));

// shares is an axis of shares that keeps the lines apart and has round ticks.
function shares(values) {
  const lowest = Math.min(1, ...values.filter((v) => v !== null));
  const [low, n] = [[0.9, 5], [0.8, 4], [0.6, 4], [0.5, 5], [0.2, 4], [0, 4]].find(([low]) => low <= lowest);
  return { low, high: 1, ticks: steps(low, 1, n), label: (v) => Math.round(v * 100) + " %" };
}
const steps = (low, high, n) => Array.from({ length: n + 1 }, (_, i) => low + ((high - low) * i) / n);
