// One neuron's row of a heat map: its value now, its rank, and a small line through time among the others.

const SPARK = {width: 132, height: 30, pad: 4};
const SHARES = [0.1, 0.9]; // of the neurons, the band behind the line

// what a heat map of numbered neurons tells of one of them
function rowTells(data, neuron) {
  if (data.names || data.categorical) return []; // kinds have no rank and make no line
  const row = data.rows.indexOf(neuron), column = nearest(data.x, state.step);
  if (row < 0) return [[data.value_label, "", {note: `not among the ${wholeNumber(data.rows.length)} neurons drawn`}]];
  const value = valueText(cellValue(data, row, column), data.value_label);
  const note = [rankWords(data, row, column), data.x[column] === state.step ? "" : `at step ${wholeNumber(data.x[column])}`];
  return [[data.value_label, value, {note: note.filter(Boolean).join(", "), picture: () => sparkline(data, row, column)}]];
}

// values that many neurons share, such as counts: there a rank or a band would say nothing
function isGraded(data) {
  if (data.graded === undefined) {
    const last = data.codes.subarray(data.codes.length - data.rows.length).filter((code) => code !== 65535);
    data.graded = new Set(last).size > last.length / 2;
  }
  return data.graded;
}

function rankWords(data, row, column) {
  const codes = data.codes.subarray(column * data.rows.length, (column + 1) * data.rows.length), own = codes[row];
  const live = codes.filter((code) => code !== 65535);
  if (own === 65535 || live.length < 2 || !isGraded(data) || live.filter((code) => code === own).length > 1) return "";
  const thinned = data.rows.length < index.neurons[index.layers.indexOf(state.layer)] ? " drawn" : "";
  return `rank ${wholeNumber(live.filter((code) => code > own).length + 1)} of ${wholeNumber(live.length)}${thinned}`;
}

// the scale is that of this neuron and of most others: a few extreme ones would press every line flat
function sparkline(data, row, column) {
  const canvas = cardCanvas(data, {class: "spark", "aria-label": `${visible(data.value_label)} at ${data.x.length} steps from ${wholeNumber(data.x[0])} to ${wholeNumber(data.x.at(-1))}`});
  const context = fitted(canvas, SPARK.width, SPARK.height), count = data.x.length;
  const own = Array.from({length: count}, (_, k) => data.codes[k * data.rows.length + row]), band = isGraded(data) ? bandOf(data) : [];
  const live = [...own.filter((code) => code !== 65535), ...band.flatMap((ends) => ends ?? [])];
  const [low, high] = live.length ? extremes(live) : [0, 1];
  const across = (k) => SPARK.pad + ((SPARK.width - 2 * SPARK.pad) * k) / Math.max(count - 1, 1);
  const up = (code) => SPARK.height - SPARK.pad - (SPARK.height - 2 * SPARK.pad) * (high > low ? (code - low) / (high - low) : 0.5);
  drawBand(context, band, across, up);
  drawAt(context, across(column));
  drawRow(context, own, across, up);
  if (own[column] !== 65535) drawDot(context, across(column), up(own[column]));
  return canvas;
}

// codes below and above which a tenth of the live neurons lie, at each step
function bandOf(data) {
  data.band ??= Array.from(data.x, (_, k) => {
    const live = data.codes.slice(k * data.rows.length, (k + 1) * data.rows.length).filter((code) => code !== 65535).sort();
    return live.length ? SHARES.map((share) => live[Math.round(share * (live.length - 1))]) : null;
  });
  return data.band;
}

function drawBand(context, band, across, up) {
  const places = band.flatMap((ends, k) => (ends ? [[k, ends]] : []));
  context.fillStyle = withAlpha(token("none"), 0.28);
  context.beginPath();
  places.forEach(([k, ends]) => context.lineTo(across(k), up(ends[1])));
  places.reverse().forEach(([k, ends]) => context.lineTo(across(k), up(ends[0])));
  context.fill();
}

function drawAt(context, x) {
  context.strokeStyle = withAlpha(token("accent"), 0.55);
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, SPARK.height);
  context.stroke();
}

// a step without a value leaves a gap
function drawRow(context, codes, across, up) {
  context.strokeStyle = token("ink");
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  codes.forEach((code, k) => {
    if (code === 65535) return;
    const begins = !k || codes[k - 1] === 65535;
    if (begins) context.moveTo(across(k) - 1, up(code)); // a lone value is a dash
    context.lineTo(across(k) + (begins ? 1 : 0), up(code));
  });
  context.stroke();
}

function drawDot(context, x, y) {
  context.fillStyle = token("accent");
  context.beginPath();
  context.arc(x, y, 3, 0, 2 * Math.PI);
  context.fill();
}
