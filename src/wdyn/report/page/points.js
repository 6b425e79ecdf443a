// Neurons moving through an embedding: points, trails, hover, selection.

const TRAIL = 10, MARGIN = 22;

function pointsView(body, store) {
  const legend = element("div"), where = element("p", {class: "where"}), caption = element("p", {class: "note"});
  const canvas = makeCanvas(body, "");
  body.append(legend, where, caption);
  const view = {canvas, drawn: null, data: null, moving: false};
  const draw = () => view.drawn && drawPoints(view);

  onResize(body, draw);
  onPointer(canvas, (x, y) => pickPoint(view, x, y));
  onArrows(canvas, () => view.data.neurons, () => view.data.layer);

  return {
    show(chart) {
      view.data = decodePoints(chart, store);
      view.drawn = null;
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${wholeNumber(view.data.count)} neurons. Arrow keys select one, Escape none.`);
      legend.replaceChildren(groupLegend(view.data));
      caption.textContent = visible(chart.caption);
    },
    update() {
      view.at = nearest(view.data.steps, state.step);
      where.textContent = `Shown: step ${wholeNumber(view.data.steps[view.at])}`;
      move(view);
    },
    marks: (neuron) => Number.isFinite(view.data.x(nearest(view.data.steps, state.step), view.data.neurons.indexOf(neuron))),
    tells: (neuron) => pointTells(view.data, neuron),
    table: () => pointsTable(view),
    csv: () => pointsCsv(view.data),
    step: () => view.data.steps[view.at],
  };
}

function decodePoints(chart, store) {
  const codes = readBlock(store, chart.codes), [times, , count] = chart.codes.shape;
  const xy = Float32Array.from(codes, (code, i) => {
    const [low, high] = chart.limits[Math.floor(i / count) % 2];
    return valueOf(code, 65535, low, high);
  });
  const size = chart.size && readBlock(store, chart.size);
  const largest = Math.min(Math.max(80 / Math.sqrt(count), 2.8), 7); // a crowd of dots must stay apart
  return {
    count, times, layer: chart.layer, steps: chart.steps, limits: chart.limits, groupLabel: chart.group_label,
    x: (t, i) => xy[2 * t * count + i], y: (t, i) => xy[(2 * t + 1) * count + i],
    neurons: readBlock(store, chart.neurons), groups: readBlock(store, chart.groups),
    radius: (t, i) => largest * (size ? 0.4 + (0.6 * (size[t * count + i] % 255)) / 254 : 0.8), // 255 is "no value"
  };
}

const LISTED = 16; // groups in a legend, and those of none

function groupLegend(data) {
  const counts = new Map();
  data.groups.forEach((group) => counts.set(group, (counts.get(group) || 0) + 1));
  const groups = [...counts.keys()].sort((a, b) => (a < 0) - (b < 0) || a - b), real = groups.filter((group) => group >= 0);
  if (groups.length < 2) return element("span");
  const items = groups.filter((group) => !real.slice(LISTED).includes(group)).map((group) => ({
    label: `${group < 0 ? "none" : data.names?.[group] ?? group} (${counts.get(group)})`, colour: groupColour(group),
    mark: group >= GROUPS ? "ring" : "dot",
  }));
  const more = real.length > LISTED ? `; ${real.length - LISTED} more not listed` : "";
  return element("div", {class: "legend-row"}, element("span", {class: "label"}, `${visible(data.groupLabel)} (neurons${more})`), seriesLegend(items));
}

// glide to the step's places; at rest every point lies exactly where its coordinates say
function move(view) {
  const {data, at} = view;
  const still = !view.drawn || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (still) view.drawn = new Float32Array(2 * data.count);
  view.target = Float32Array.from({length: 2 * data.count}, (_, k) => (k % 2 ? data.y : data.x)(at, k >> 1));
  if (still) view.drawn.set(view.target);
  if (!view.moving) glide(view);
}

function glide(view) {
  let far = 0;
  const near = 0.002 * Math.max(view.data.limits[0][1] - view.data.limits[0][0], view.data.limits[1][1] - view.data.limits[1][0]);
  for (let k = 0; k < view.drawn.length; k++) {
    const gap = view.target[k] - view.drawn[k];
    view.drawn[k] = Number.isNaN(gap) || Math.abs(gap) < near ? view.target[k] : view.drawn[k] + 0.4 * gap;
    if (Math.abs(gap) >= near) far++;
  }
  view.moving = far > 0;
  drawPoints(view);
  if (view.moving) requestAnimationFrame(() => glide(view));
  else refreshTip();
}

function drawPoints(view) {
  const width = widthOf(view.canvas.parentElement), height = Math.round(Math.min(Math.max(width * 0.8, 260), 520));
  const context = fitted(view.canvas, width, height);
  view.place = placing(view.data.limits, width, height);
  if (!view.drawn.some(Number.isFinite)) return emptyText(context, width, height, "No neuron has a direction at this step.");
  drawTrails(context, view);
  drawDots(context, view);
  drawChosenPoint(context, view);
}

// both axes to one scale, since distances have no direction of their own
function placing([[x0, x1], [y0, y1]], width, height) {
  const scale = Math.min((width - 2 * MARGIN) / (x1 - x0 || 1), (height - 2 * MARGIN) / (y1 - y0 || 1));
  return {
    x: (value) => width / 2 + (value - (x0 + x1) / 2) * scale,
    y: (value) => height / 2 - (value - (y0 + y1) / 2) * scale,
  };
}

function drawTrails(context, view) {
  const {data, at, place, drawn} = view, first = Math.max(0, at - TRAIL);
  context.lineWidth = 1;
  for (const [group, rows] of rowsByGroup(data)) {
    for (let t = first; t < at; t++) {
      context.strokeStyle = withAlpha(groupColour(group), 0.04 + (0.3 * (t - first + 1)) / TRAIL);
      context.beginPath();
      for (const i of rows) {
        const head = t + 1 === at;
        context.moveTo(place.x(data.x(t, i)), place.y(data.y(t, i)));
        context.lineTo(place.x(head ? drawn[2 * i] : data.x(t + 1, i)), place.y(head ? drawn[2 * i + 1] : data.y(t + 1, i)));
      }
      context.stroke();
    }
  }
}

function rowsByGroup(data) {
  if (!data.byGroup) {
    data.byGroup = new Map();
    data.groups.forEach((group, i) => data.byGroup.set(group, [...(data.byGroup.get(group) || []), i]));
  }
  return data.byGroup;
}

function drawDots(context, view) {
  const {data, at, place, drawn} = view, full = 2 * Math.PI;
  for (const [group, rows] of rowsByGroup(data)) {
    context.fillStyle = group >= GROUPS ? token("card") : groupColour(group);
    context.strokeStyle = group >= GROUPS ? groupColour(group) : token("card");
    context.lineWidth = group >= GROUPS ? 1.6 : 0.7;
    for (const i of rows) {
      const [x, y, r] = [place.x(drawn[2 * i]), place.y(drawn[2 * i + 1]), data.radius(at, i)];
      if (Number.isNaN(x)) continue; // a dead neuron has no direction, hence no place
      context.beginPath();
      context.arc(x, y, r, 0, full);
      context.fill();
      context.stroke();
    }
  }
}

function drawChosenPoint(context, view) {
  const {data, place, drawn, at} = view, i = data.neurons.indexOf(neuronIn(data));
  if (i < 0) return;
  context.strokeStyle = context.fillStyle = token("ink");
  context.lineWidth = 1.5;
  context.beginPath();
  for (let t = 0; t < data.times; t++) context.lineTo(place.x(data.x(t, i)), place.y(data.y(t, i)));
  context.stroke();
  const [x, y] = [place.x(drawn[2 * i]), place.y(drawn[2 * i + 1])];
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, data.radius(at, i) + 3.5, 0, 2 * Math.PI);
  context.stroke();
  context.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = x > widthOf(view.canvas.parentElement) - 60 ? "right" : "left";
  context.fillText(String(state.neuron), x + (context.textAlign === "left" ? 10 : -10), y - 8);
}

function pickPoint(view, x, y) {
  const {data, place, drawn} = view;
  let best = -1, reach = 14 ** 2;
  for (let i = 0; drawn && i < data.count; i++) {
    const away = (place.x(drawn[2 * i]) - x) ** 2 + (place.y(drawn[2 * i + 1]) - y) ** 2;
    if (away < reach) [best, reach] = [i, away];
  }
  if (best < 0) return null;
  const group = data.groups[best];
  return {neuron: data.neurons[best], layer: data.layer, lines: [`neuron ${data.neurons[best]}`, `${data.groupLabel}: ${group < 0 ? "none" : group}`]};
}

function pointTells(data, neuron) {
  const i = data.neurons.indexOf(neuron), t = nearest(data.steps, state.step);
  if (i < 0) return [[data.groupLabel, "", {note: `not among the ${wholeNumber(data.count)} neurons drawn`}]];
  const placed = Number.isFinite(data.x(t, i));
  return [[data.groupLabel, data.groups[i] < 0 ? "none" : data.groups[i], {note: placed ? "" : "no direction at this step"}]];
}

function pointsTable(view) {
  const {data, at} = view;
  const rows = Array.from(data.neurons, (neuron, i) => [neuron, data.groups[i] < 0 ? null : data.groups[i], data.x(at, i), data.y(at, i)]);
  return {headings: ["neuron", data.groupLabel, "x", "y"], rows, note: `At step ${wholeNumber(data.steps[at])}.`};
}

// every shown step: what the points were moved through
function pointsCsv(data) {
  const rows = [], across = range(data.limits[0]), up = range(data.limits[1]);
  for (let t = 0; t < data.times; t++) {
    data.neurons.forEach((neuron, i) => rows.push([
      data.steps[t], neuron, data.groups[i] < 0 ? null : data.groups[i], exactCode(data.x(t, i), across, 65534), exactCode(data.y(t, i), up, 65534),
    ]));
  }
  return {headings: ["step", "neuron", data.groupLabel, "x", "y"], rows};
}

function range([low, high]) {
  return {low, high};
}
