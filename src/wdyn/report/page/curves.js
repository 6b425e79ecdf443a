// One curve per step beside what chance gives then; the first step's stays, faint, to see the way.

const CURVE = {left: 52, right: 14, top: 10, bottom: 40, height: 290};

function curvesView(body, store) {
  const legend = element("div", {class: "legend-row"}), axis = element("p", {class: "y-label"}), where = element("p", {class: "where"});
  body.append(legend, axis);
  const canvas = makeCanvas(body, "");
  body.append(where);
  const view = {canvas, data: null, at: 0};
  const draw = () => view.data && drawCurves(view);

  onResize(body, draw);
  onPointer(canvas, (x, y) => pickRank(view, x, y));

  return {
    show(chart) {
      view.data = decodeCurves(chart, store);
      axis.replaceChildren(axisWords(chart.y_label, chart.title, "linear"));
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${chart.y_label} against ${chart.x_label} at each shown step; the numbers are under Numbers`);
      this.recolour();
    },
    recolour() {
      const first = `step ${wholeNumber(view.data.steps[0])}`;
      legend.replaceChildren(seriesLegend([
        {label: "at the step shown", colour: token("c0"), mark: "line"}, {label: first, colour: token("none"), mark: "line"},
        {label: view.data.expected_label, colour: token("ink"), mark: "dash", dash: DASHES[0]},
      ]));
    },
    update() {
      view.at = nearest(view.data.steps, state.step);
      where.textContent = `Shown: step ${wholeNumber(view.data.steps[view.at])}.`;
      drawCurves(view);
    },
    table: () => curvesTable(view),
    csv: () => curvesTable(view),
    csvOfStep: true,
    step: () => view.data.steps[view.at],
  };
}

function decodeCurves(chart, store) {
  const x = readBlock(store, chart.x), codes = readBlock(store, chart.codes);
  const value = (t, which, i) => valueOf(codes[(2 * t + which) * x.length + i], 65535, chart.low, chart.high);
  return {...chart, x, value: (t, i) => value(t, 0, i), expected: (t, i) => value(t, 1, i)};
}

function drawCurves(view) {
  const {data, canvas, at} = view, width = widthOf(canvas.parentElement);
  const context = fitted(canvas, width, CURVE.height), {x} = data, ends = data.common ?? data, low = Math.min(ends.low, 0), {high} = ends;
  const box = {width: width - CURVE.left - CURVE.right, height: CURVE.height - CURVE.top - CURVE.bottom};
  view.x = (value) => CURVE.left + ((value - x[0]) / (x.at(-1) - x[0] || 1)) * box.width;
  view.y = (value) => CURVE.top + box.height * (1 - (value - low) / (high - low || 1));
  view.box = null;
  if (!x.some((_, i) => Number.isFinite(data.value(at, i)))) return emptyText(context, width, CURVE.height, "No value at this step.");
  view.box = box;
  drawCurveAxes(context, view, {low, high});
  drawCurve(context, view, {of: (i) => data.value(0, i), colour: token("none"), width: 1.4});
  drawCurve(context, view, {of: (i) => data.value(at, i), colour: token("c0"), width: 3});
  drawCurve(context, view, {of: (i) => data.expected(at, i), colour: token("ink"), width: 1.2, dash: [7, 4]}); // on top: where chance gives just this it would be hidden
}

function drawCurve(context, {data, x, y}, {of, colour, width, dash = []}) {
  Object.assign(context, {strokeStyle: colour, fillStyle: colour, lineWidth: width, lineJoin: "round"});
  context.setLineDash(dash);
  context.beginPath();
  let pen = false;
  data.x.forEach((value, i) => {
    const here = of(i), known = Number.isFinite(here);
    if (known) context[pen ? "lineTo" : "moveTo"](x(value), y(here));
    pen = known;
    if (known && data.x.length === 1) context.fillRect(x(value) - 3, y(here) - 3, 6, 6); // a line of no length is not seen
  });
  context.stroke();
  context.setLineDash([]);
}

function drawCurveAxes(context, {data, box, x, y}, {low, high}) {
  Object.assign(context, {fillStyle: token("muted"), strokeStyle: token("grid"), lineWidth: 1, font: `12px ${getComputedStyle(document.body).fontFamily}`});
  context.textAlign = "right";
  for (const tick of evenTicks(low, high).filter((each) => each >= low && each <= high)) {
    context.strokeRect(CURVE.left, y(tick), box.width, 0);
    context.fillText(numberText(tick), CURVE.left - 8, y(tick) + 4);
  }
  context.textAlign = "center";
  const ticks = [data.x[0], ...evenTicks(data.x[0], data.x.at(-1)).filter((each) => Number.isInteger(each) && x(each) > x(data.x[0]) + 40 && each <= data.x.at(-1))];
  for (const tick of ticks) context.fillText(numberText(tick), x(tick), CURVE.top + box.height + 17);
  context.fillText(flatText(data.x_label, Math.floor(box.width / LETTER)), CURVE.left + box.width / 2, CURVE.top + box.height + 34);
}

function pickRank(view, px) {
  const {data, at, box} = view;
  if (!box || px < CURVE.left - 8 || px > CURVE.left + box.width + 8) return null;
  const i = nearest(data.x, data.x[0] + ((px - CURVE.left) / box.width) * (data.x.at(-1) - data.x[0]));
  const words = [[data.y_label, data.value(at, i)], ["by chance", data.expected(at, i)], [`step ${wholeNumber(data.steps[0])}`, data.value(0, i)]];
  return {neuron: null, lines: [`${clip(data.x_label, 40)} ${numberText(data.x[i])}, step ${wholeNumber(data.steps[at])}`, ...words.map(([label, value]) => `${clip(label, 40)}: ${numberText(rounded(value))}`)]};
}

// what 16 bits tell apart
function rounded(value) {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : value;
}

function curvesTable({data, at}) {
  const rows = Array.from(data.x, (value, i) => [value, rounded(data.value(at, i)), rounded(data.expected(at, i))]);
  return {headings: [data.x_label, data.y_label, data.expected_label], rows, note: `At step ${wholeNumber(data.steps[at])}.`};
}
