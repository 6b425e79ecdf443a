// A square matrix scrubbed through time: colours, group borders, hover, selection.

const STRIP = 8; // pixels of group colour along the edges
const MARK = 3; // least pixels of a group's mark there, however few its rows
const PAIRS = 200;

function matrixView(body, store) {
  const canvas = makeCanvas(body, "");
  const legend = element("div"), where = element("p", {class: "where"});
  body.append(legend, where);
  const view = {canvas, data: null};
  const draw = () => view.data && drawMatrix(view);

  onResize(body, draw);
  onPointer(canvas, (x, y) => pickPair(view, x, y));

  return {
    show(chart) {
      view.data = decodeMatrix(chart, store);
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${chart.members.length} by ${chart.members.length} values`);
      this.recolour();
    },
    recolour() {
      view.colours = colourTable(255, view.data.low < 0);
      legend.replaceChildren(colourLegend(view.data, view.data.low < 0));
    },
    update() {
      view.at = nearest(view.data.steps, state.step);
      where.textContent = `Shown: step ${wholeNumber(view.data.steps[view.at])}.${blockWords(view.data.members)}`;
      drawMatrix(view);
    },
    marks: (neuron) => view.data.members.some((list) => list.includes(neuron)),
    tells: (neuron) => neighbourTells(view.data, neuron),
    table: () => matrixTable(view),
    csv: () => matrixCsv(view),
    csvOfStep: true,
    step: () => view.data.steps[view.at],
  };
}

function blockWords(members) {
  const sizes = members.map((list) => list.length), most = Math.max(...sizes, 1);
  if (most === 1) return "";
  return ` A row stands for ${sizes.every((size) => size === most) ? "" : "up to "}${wholeNumber(most)} neurons, a value for the mean over their pairs.`;
}

function decodeMatrix(chart, store) {
  return {...chart, size: chart.members.length, codes: readBlock(store, chart.codes),
    groups: chart.groups && readBlock(store, chart.groups), neighbours: chart.neighbours && decodeNeighbours(chart, store)};
}

function decodeNeighbours({neighbours, members}, store) {
  return {...neighbours, neurons: members.flat(), most: neighbours.place.shape[2], place: readBlock(store, neighbours.place), codes: readBlock(store, neighbours.codes)};
}

// the nearest neurons at the step, exact also where a row of the matrix stands for several
function neighbourTells({neighbours, steps, value_label}, neuron) {
  if (!neighbours) return [];
  const {neurons, most, place, codes, low, high} = neighbours, i = neurons.indexOf(neuron), t = nearest(steps, state.step);
  const label = `nearest neurons, by ${value_label}`;
  if (i < 0) return [[label, "", {note: `not among the ${wholeNumber(neurons.length)} neurons looked at`}]];
  const first = (t * neurons.length + i) * most;
  const near = Array.from({length: most}, (_, k) => first + k).filter((k) => place[k] >= 0)
    .map((k) => [neurons[place[k]], numberText(Number(valueOf(codes[k], 255, low, high).toFixed(2)))]);
  if (!near.length) return [[label, "none at this step"]];
  const chance = numberText(neighbours.chance[t] === null ? null : Number(neighbours.chance[t].toFixed(2)));
  return [[label, "", {near, note: `the nearest by chance: up to ${chance} (${neighbours.chance_label})`}]];
}

// place of (i, j) in the stored upper triangle
function pairAt(i, j, size) {
  const [low, high] = i < j ? [i, j] : [j, i];
  return low * size - (low * (low - 1)) / 2 + high - low;
}

function pairValue(view, i, j) {
  const {data, at} = view;
  return valueOf(data.codes[(at * data.size * (data.size + 1)) / 2 + pairAt(i, j, data.size)], 255, data.low, data.high);
}

function drawMatrix(view) {
  const {data, at, canvas, colours} = view, {size} = data;
  const side = Math.min(widthOf(canvas.parentElement), 520), inset = data.groups ? STRIP : 0;
  const context = fitted(canvas, side, side);
  const pairs = (size * (size + 1)) / 2;
  if (data.codes.subarray(at * pairs, (at + 1) * pairs).every((code) => code === 255)) {
    view.cell = Infinity; // nothing to point at
    return emptyText(context, side, side, "No live neuron at this step.");
  }
  view.cell = (side - inset) / size;
  view.inset = inset;
  const image = colourImage(size, size, (pixels) => {
    for (let i = 0, k = at * pairs; i < size; i++) {
      for (let j = i; j < size; j++, k++) pixels[i * size + j] = pixels[j * size + i] = colours[data.codes[k]];
    }
  });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, inset, inset, side - inset, side - inset);
  if (data.groups) drawGroupEdges(context, view, side);
  drawChosenRow(context, view, side);
}

// a strip of group colours along two edges, and a frame around each block of at least three rows
function drawGroupEdges(context, view, side) {
  const {cell, inset} = view;
  context.fillStyle = token("grid");
  context.fillRect(inset, 0, side - inset, inset - 3);
  context.fillRect(0, inset, inset - 3, side - inset);
  context.strokeStyle = withAlpha(token("ink"), 0.7);
  context.lineWidth = 1;
  for (const {group, first, count} of groupRuns(view)) {
    const from = inset + first * cell, length = Math.max(count * cell, MARK);
    context.fillStyle = groupColour(group);
    context.fillRect(from, 0, length, inset - 3);
    context.fillRect(0, from, inset - 3, length);
    if (count > 2) context.strokeRect(from, from, length - 0.5, length - 0.5);
  }
}

// rows in a row that are in one group
function groupRuns({data, at}) {
  const runs = [];
  data.groups.subarray(at * data.size, (at + 1) * data.size).forEach((group, i) => {
    if (i && runs.at(-1).group === group) runs.at(-1).count++;
    else runs.push({group, first: i, count: 1});
  });
  return runs.filter(({group}) => group >= 0);
}

function drawChosenRow(context, view, side) {
  const i = view.data.members.findIndex((list) => list.includes(neuronIn(view.data)));
  if (i < 0) return;
  const {inset} = view, cell = Math.max(view.cell, 3), from = inset + (i + 0.5) * view.cell - cell / 2;
  context.strokeStyle = token("ink");
  context.lineWidth = 1.25;
  context.strokeRect(from, inset, cell, side - inset - 0.5);
  context.strokeRect(inset, from, side - inset - 0.5, cell);
}

function pickPair(view, x, y) {
  const [j, i] = [x, y].map((value) => Math.floor((value - view.inset) / view.cell));
  if (!view.data || !(i >= 0 && j >= 0) || !Number.isFinite(view.cell) || i >= view.data.size || j >= view.data.size) return null;
  const list = view.data.members[i];
  return {
    neuron: list.length === 1 ? list[0] : null, layer: view.data.layer,
    lines: [`${members(list)} and ${members(view.data.members[j])}`, `${view.data.value_label}: ${numberText(Number(pairValue(view, i, j).toFixed(2)))}`],
  };
}

function matrixTable(view) {
  const pairs = [], {data} = view;
  for (let i = 0; i < data.size; i++) {
    for (let j = i + 1; j < data.size; j++) {
      const value = pairValue(view, i, j);
      if (!Number.isNaN(value)) pairs.push([members(data.members[i]), members(data.members[j]), value]);
    }
  }
  pairs.sort((a, b) => Math.abs(b[2]) - Math.abs(a[2]));
  const rows = pairs.slice(0, PAIRS).map(([a, b, value]) => [a, b, Number(value.toFixed(2))]);
  const kept = pairs.length > PAIRS ? `The ${PAIRS} largest of ${wholeNumber(pairs.length)} pairs` : "All pairs";
  return {headings: ["row", "column", data.value_label], rows,
    note: `${kept} at step ${wholeNumber(data.steps[view.at])}, as drawn, to 2 places; exact numbers with --report json.`};
}

// the square as it stands at the shown step, its rows by the numbers of their neurons
function matrixCsv(view) {
  const {data} = view, names = data.members.map((list) => list.join(" "));
  const value = (i, j) => exactCode(pairValue(view, i, j), data, 254);
  return {headings: ["neurons", ...names], rows: names.map((name, i) => [name, ...names.map((_, j) => value(i, j))])};
}
