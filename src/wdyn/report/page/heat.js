// One value per row and step as colour; columns are evenly spaced, whatever steps they stand for.

const HEAT = {left: 46, bottom: 38, top: 6, right: 22};

function heatView(body, store) {
  const canvas = makeCanvas(body, "");
  const legend = element("div"), note = element("p", {class: "where"});
  body.append(legend, note);
  const view = {canvas, data: null, sorted: false};
  const draw = () => view.data && drawHeat(view);

  onResize(body, draw);
  onPointer(canvas, (x, y) => pickCell(view, x, y));

  view.sort = toolSwitch("sort", "Rows by their last value, the largest on top", () => {
    view.sorted = !view.sorted;
    view.sort.setAttribute("aria-pressed", String(view.sorted));
    view.data = decodeHeat(view.chart, store, view.sorted);
    view.image = heatImage(view.data);
    draw();
  });

  return {
    tools: [view.sort],
    show(chart) {
      view.chart = chart;
      view.data = decodeHeat(chart, store, view.sorted);
      view.sort.hidden = Boolean(chart.names) || chart.categorical || chart.rows.length < 3;
      const what = chart.names ? "columns" : "steps";
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${chart.rows.length} rows, ${view.data.x.length} ${what}`);
      note.textContent = view.data.x.length < chart.columns ? `${view.data.x.length} of ${wholeNumber(chart.columns)} ${what} drawn.` : "";
      Object.assign(canvas.style, {width: "100%", height: `${heatHeight(view.data) + HEAT.top + HEAT.bottom}px`}); // its place is kept until it is seen
      this.recolour();
    },
    recolour() {
      view.image = heatImage(view.data);
      legend.replaceChildren(view.data.categorical ? element("p", {class: "note"}, `Colour: ${visible(view.data.value_label)}, the same as in the other pictures; there are ${GROUPS}, so distant groups may share one.`) : colourLegend({...view.data.shown, value_label: view.data.colour_label}, view.data.shown.diverging));
    },
    update: draw,
    marks: (neuron) => view.data.rows.includes(neuron),
    tells: (neuron) => rowTells(view.data, neuron),
    table: () => heatTable(view),
    csv: () => heatCsv(view.data),
  };
}

function heatImage(data) {
  const [columns, rows] = [data.x.length, data.rows.length];
  const colours = colourTable(255, data.shown.diverging);
  if (data.categorical) return colourImage(columns, rows, (pixels) => paintKinds(data, pixels));
  return colourImage(columns, rows, (pixels) => {
    for (let k = 0; k < data.codes.length; k++) {
      const share = shownShare(data, k % rows, Math.floor(k / rows));
      pixels[(k % rows) * columns + Math.floor(k / rows)] = colours[Number.isNaN(share) ? 255 : Math.round(share * 254)];
    }
  });
}

function paintKinds(data, pixels) {
  const [columns, rows] = [data.x.length, data.rows.length], blank = packedColour(token("blank"));
  const kinds = Array.from({length: GROUPS}, (_, group) => packedColour(groupColour(group)));
  for (let k = 0; k < data.codes.length; k++) {
    const value = heatValue(data, k % rows, Math.floor(k / rows));
    pixels[(k % rows) * columns + Math.floor(k / rows)] = Number.isNaN(value) ? blank : kinds[Math.round(value) % GROUPS];
  }
}

function decodeHeat(chart, store, sorted) {
  const data = {...chart, left: heatLeft(chart), x: readBlock(store, chart.x), codes: readBlock(store, chart.codes)};
  if (sorted && !chart.names) sortRows(data);
  data.shown = {...(data.common ?? {low: data.low, high: data.high}), diverging: data.diverging};
  if (data.base) {
    const most = Math.max(0, ...data.rows.flatMap((_, row) => data.base.map((base, column) => Math.abs(heatValue(data, row, column) - base) || 0)));
    data.shown = {low: -most, high: most, diverging: true};
  }
  return data;
}

// the row with the largest value at the last step on top, those without one below
function sortRows(data) {
  const count = data.rows.length, last = data.codes.length - count, codes = data.codes.slice();
  const worth = (row) => (codes[last + row] === 65535 ? -1 : codes[last + row]);
  const order = data.rows.map((_, row) => row).sort((a, b) => worth(b) - worth(a) || a - b);
  data.rows = order.map((row) => data.rows[row]);
  data.codes.forEach((_, k) => { data.codes[k] = codes[k - (k % count) + order[k % count]]; });
}

function heatValue(data, row, column) {
  return valueOf(data.codes[column * data.rows.length + row], 65535, data.low, data.high);
}

// place of a cell's colour between the ends of the scale
function shownShare(data, row, column) {
  const {low, high} = data.shown, value = heatValue(data, row, column) - (data.base ? data.base[column] ?? NaN : 0);
  return high > low ? (value - low) / (high - low) : Number.isNaN(value) ? NaN : 0;
}

function heatHeight(data) {
  return Math.min(Math.max(data.rows.length * (data.names ? 26 : 3), 120), 360);
}

// room for the names of rows where columns have names too: such a map is no history of numbered neurons
function heatLeft(chart) {
  const longest = Math.max(0, ...chart.rows.map((label) => String(label).length));
  return chart.names ? Math.min(Math.max(HEAT.left, 20 + longest * LETTER), 170) : HEAT.left;
}

function drawHeat(view) {
  const {data, canvas, image} = view, width = widthOf(canvas.parentElement);
  const inner = heatHeight(data), height = inner + HEAT.top + HEAT.bottom;
  const context = fitted(canvas, width, height);
  view.box = null;
  if (data.codes.every((code) => code === 65535)) return emptyText(context, width, height, "No value to show: nothing here is live.");
  view.box = {width: width - data.left - HEAT.right, height: inner};
  context.imageSmoothingEnabled = !data.categorical && (data.rows.length > inner || data.x.length > view.box.width);
  context.drawImage(image, data.left, HEAT.top, view.box.width, inner);
  if (data.names && Math.max(data.rows.length, data.names.length) <= 12) drawHeatNumbers(context, view);
  drawHeatAxes(context, view);
  drawHeatMarks(context, view);
}

// the values themselves, where cells are few and wide enough to hold them
function drawHeatNumbers(context, {data, box}) {
  const [wide, high] = [box.width / data.names.length, box.height / data.rows.length], stops = stopsOf(data.shown.diverging);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  const texts = heatNumbers(data);
  if (Math.max(...texts.flat().map((text) => context.measureText(text).width)) > wide - 4) return;
  data.rows.forEach((_, row) => data.names.forEach((_, column) => {
    const share = shownShare(data, row, column);
    if (Number.isNaN(share)) return;
    const [r, g, b] = mapColour(stops, share);
    context.fillStyle = 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000" : "#fff";
    context.fillText(texts[row][column], data.left + (column + 0.5) * wide, HEAT.top + (row + 0.5) * high + 4);
  }));
}

// all to one decimal place, a hundredth of the largest or finer: what is less is no colour either
function heatNumbers(data) {
  const values = data.rows.map((_, row) => data.names.map((_, column) => heatValue(data, row, column)));
  const largest = Math.max(...values.flat().map(Math.abs).filter(Number.isFinite));
  const places = largest > 0 ? Math.min(Math.max(2 - Math.floor(Math.log10(largest)), 0), 12) : 0;
  return values.map((row) => row.map((value) => numberText(Number(value.toFixed(places)) || 0))); // no −0
}

function drawHeatAxes(context, {data, box}) {
  context.fillStyle = token("muted");
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const apart = data.names ? 16 + LETTER * Math.max(...data.names.map((_, column) => columnName(data, column, 12).length)) : 90;
  const ticks = Math.min(Math.max(2, Math.floor(box.width / apart)), data.x.length);
  context.textAlign = "center";
  for (let k = 0; k < ticks; k++) {
    const column = Math.round((k * (data.x.length - 1)) / Math.max(ticks - 1, 1));
    context.fillText(columnName(data, column, 12), data.left + ((column + 0.5) * box.width) / data.x.length, HEAT.top + box.height + 15);
  }
  context.fillText(columnWords(data, Math.floor(box.width / LETTER)), data.left + box.width / 2, HEAT.top + box.height + 32);
  context.textAlign = "right";
  const lines = Math.min(data.rows.length, data.names ? 12 : 6);
  for (let k = 0; k < lines; k++) {
    const row = Math.round((k * (data.rows.length - 1)) / Math.max(lines - 1, 1));
    context.fillText(flatText(data.rows[row], Math.floor((data.left - 22) / LETTER)), data.left - 6, HEAT.top + ((row + 0.5) * box.height) / data.rows.length + 4);
  }
  context.save();
  context.translate(9, HEAT.top + box.height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(flatText(data.row_label, Math.floor(box.height / LETTER)), 0, 0);
  context.restore();
}

function columnName(data, column, letters = 40) {
  return data.names ? flatText(data.names[column], letters) : wholeNumber(data.x[column]);
}

// what the columns are, in as many letters as there is room for
function columnWords(data, letters) {
  if (data.names || isEven(data.x)) return flatText(data.x_label, letters);
  const spacing = "shown steps, evenly spaced", whole = `${data.x_label} (${spacing})`;
  return whole.length <= letters ? flatText(whole, letters) : spacing;
}

// equal distances but for rounding to recorded steps
function isEven(x) {
  const gaps = Array.from(x.subarray(1), (value, i) => value - x[i]);
  return !gaps.length || Math.max(...gaps) <= Math.max(1.5 * Math.min(...gaps), Math.min(...gaps) + 1);
}

function drawHeatMarks(context, {data, box}) {
  const column = nearest(data.x, state.step), row = data.rows.indexOf(neuronIn(data));
  const x = data.left + ((column + 0.5) * box.width) / data.x.length;
  if (!data.names && pixelRatio === null) outlined(context, () => {
    context.moveTo(x, HEAT.top);
    context.lineTo(x, HEAT.top + box.height);
  });
  if (row < 0) return;
  const cell = Math.max(box.height / data.rows.length, 3), y = HEAT.top + ((row + 0.5) * box.height) / data.rows.length;
  outlined(context, () => context.rect(data.left, y - cell / 2, box.width, cell));
}

// white on a dark rim is seen on every colour of the map
function outlined(context, path) {
  for (const [colour, width] of [["rgb(0 0 0 / 0.7)", 3.5], ["#fff", 1.5]]) {
    Object.assign(context, {strokeStyle: colour, lineWidth: width});
    context.beginPath();
    path();
    context.stroke();
  }
}

function pickCell({data, box}, x, y) {
  if (!box) return null;
  const column = Math.floor(((x - data.left) / box.width) * data.x.length);
  const row = Math.floor(((y - HEAT.top) / box.height) * data.rows.length);
  if (column < 0 || row < 0 || column >= data.x.length || row >= data.rows.length) return null;
  const label = data.rows[row];
  return {neuron: Number.isInteger(label) ? label : null, layer: data.layer, lines: [
    `${clip(data.row_label, 40)} ${clip(label, 40)}, ${data.names ? clip(data.x_label, 40) : "step"} ${columnName(data, column)}`, `${data.value_label}: ${numberText(cellValue(data, row, column))}`,
  ]};
}

function cellValue(data, row, column) {
  const value = heatValue(data, row, column);
  return data.categorical ? Math.round(value) : Number(value.toPrecision(4));
}

function heatTable({data}) {
  const many = Math.min(data.x.length, 12);
  const columns = Array.from({length: many}, (_, k) => Math.round((k * (data.x.length - 1)) / Math.max(many - 1, 1)));
  return {
    headings: [data.row_label, ...columns.map((column) => (data.names ? columnName(data, column) : `step ${columnName(data, column)}`))],
    rows: data.rows.map((label, row) => [label, ...columns.map((column) => cellValue(data, row, column))]),
    note: many < data.columns ? `${many} of ${wholeNumber(data.columns)} ${data.names ? "columns" : "steps"}.` : "",
  };
}

function heatCsv(data) {
  const value = (row, column) => data.categorical ? cellValue(data, row, column) : exactCode(heatValue(data, row, column), data, 65534);
  const columns = Array.from(data.x, (step, i) => i);
  return {
    headings: [data.row_label, ...columns.map((i) => (data.names ? data.names[i] : `step ${exact(data.x, i)}`))],
    rows: data.rows.map((label, row) => [label, ...columns.map((column) => value(row, column))]),
  };
}
