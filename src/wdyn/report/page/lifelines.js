// Groups through time: a band per group, as wide as it has neurons, with bridges where groups merge and split.

const LIFE = {left: 34, right: 22, top: 8, bottom: 38, least: 200, most: 460};

function lifelinesView(body, store) {
  const canvas = makeCanvas(body, ""), note = element("p", {class: "note"});
  body.append(note);
  const view = {canvas, data: null};
  const draw = () => view.data && drawLifelines(view);

  onResize(body, draw);
  onPointer(canvas, (x, y) => pickBand(view, x, y));

  return {
    show(chart) {
      view.data = {...chart, sizes: readBlock(store, chart.sizes), x: Int32Array.from(chart.steps), x_label: "optimizer step", names: null};
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${chart.groups.length} groups over ${chart.steps.length} steps; their sizes are under Numbers`);
      note.textContent = visible(chart.caption);
    },
    update: draw,
    table: () => lifelinesTable(view.data),
    csv: () => lifelinesTable(view.data),
  };
}

function sizeOf(data, t, k) {
  return data.sizes[t * data.groups.length + k];
}

function drawLifelines(view) {
  const {data, canvas} = view, width = widthOf(canvas.parentElement), count = data.groups.length;
  const widest = (k) => Math.max(0, ...data.steps.map((_, t) => sizeOf(data, t, k)));
  const total = count ? data.middles[count - 1] + widest(count - 1) / 2 + data.middles[0] - widest(0) / 2 : 1;
  const inner = Math.min(Math.max(count * 26, LIFE.least), LIFE.most), height = inner + LIFE.top + LIFE.bottom;
  const context = fitted(canvas, width, height), last = Math.max(data.steps.length - 1, 1);
  view.box = {width: width - LIFE.left - LIFE.right, height: inner};
  view.x = (t) => LIFE.left + (t * view.box.width) / last;
  view.y = (neurons) => LIFE.top + (neurons * inner) / total;
  data.bridges.forEach((bridge) => drawBridge(context, view, bridge));
  data.groups.forEach((_, k) => drawLife(context, view, k));
  drawLifeAxis(context, view);
}

// from one shown step to the next; a group that is born widens from nothing, and one that dies tapers off
function drawLife(context, {data, x, y}, k) {
  const times = data.steps.map((_, t) => t), middle = data.middles[k];
  const edge = (t, side) => [x(t), y(middle + (side * sizeOf(data, t, k)) / 2)];
  context.fillStyle = groupColour(data.groups[k]);
  context.beginPath();
  times.forEach((t) => context.lineTo(...edge(t, -1)));
  times.toReversed().forEach((t) => context.lineTo(...edge(t, 1)));
  context.fill();
  if (times.length === 1) context.fillRect(x(0) - 3, edge(0, -1)[1], 6, edge(0, 1)[1] - edge(0, -1)[1]);
  const born = times.find((t) => sizeOf(data, t, k) > 0);
  if (born === undefined) return;
  context.fillStyle = token("muted");
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "right";
  context.fillText(String(data.groups[k]), x(Math.max(born - 1, 0)) - 6, y(middle) + 4);
}

function drawBridge(context, {data, x, y}, [at, before, after, neurons]) {
  const [x0, x1] = [x(at - 1), x(at)], bend = (x0 + x1) / 2, half = neurons / 2;
  const [from, to] = [data.middles[before], data.middles[after]];
  context.fillStyle = withAlpha(groupColour(data.groups[before]), 0.4);
  context.beginPath();
  context.moveTo(x0, y(from - half));
  context.bezierCurveTo(bend, y(from - half), bend, y(to - half), x1, y(to - half));
  context.lineTo(x1, y(to + half));
  context.bezierCurveTo(bend, y(to + half), bend, y(from + half), x0, y(from + half));
  context.fill();
}

function drawLifeAxis(context, {data, box, x}) {
  context.fillStyle = token("muted");
  context.textAlign = "center";
  const ticks = Math.min(Math.max(2, Math.floor(box.width / 90)), data.steps.length);
  for (let k = 0; k < ticks; k++) {
    const t = Math.round((k * (data.steps.length - 1)) / Math.max(ticks - 1, 1));
    context.fillText(wholeNumber(data.steps[t]), x(t), LIFE.top + box.height + 18);
  }
  context.fillText(columnWords(data, Math.floor(box.width / LETTER)), LIFE.left + box.width / 2, LIFE.top + box.height + 34);
  const now = x(nearest(data.steps, state.step));
  context.strokeStyle = token("accent");
  context.lineWidth = 1;
  if (pixelRatio === null) context.strokeRect(now, LIFE.top, 0, box.height);
}

function pickBand(view, x, y) {
  const {data, box} = view;
  if (!box) return null;
  const t = Math.round(((x - LIFE.left) / box.width) * (data.steps.length - 1));
  const k = data.groups.findIndex((_, at) => Math.abs(view.y(data.middles[at]) - y) <= Math.max(3, view.y(sizeOf(data, t, at) / 2) - LIFE.top));
  if (!(t >= 0 && t < data.steps.length) || k < 0 || !sizeOf(data, t, k)) return null;
  const met = data.bridges.filter(([at, before, after]) => at === t && (before === k || after === k));
  const words = met.map(([, before, after, neurons, byChance]) => `${neurons} ${before === k ? "went on to" : "came from"} group ${data.groups[before === k ? after : before]}; by chance groups of these sizes share ${numberText(byChance)}`);
  return {neuron: null, lines: [`group ${data.groups[k]}, step ${wholeNumber(data.steps[t])}`, `neurons: ${sizeOf(data, t, k)}`, lifeWords(data, k), ...words]};
}

function lifeWords(data, k) {
  const there = data.steps.filter((_, t) => sizeOf(data, t, k) > 0), [first, last] = [there[0], there.at(-1)];
  const from = first === data.steps[0] ? "there from the first shown step" : `first seen at step ${wholeNumber(first)}`;
  return `${from}, ${last === data.steps.at(-1) ? "still there at the last" : `last seen at step ${wholeNumber(last)}`}`;
}

function lifelinesTable(data) {
  const rows = data.steps.map((step, t) => [step, ...data.groups.map((_, k) => sizeOf(data, t, k))]);
  return {headings: ["step", ...data.groups.map((group) => `neurons of group ${group}`)], rows, note: ""};
}
