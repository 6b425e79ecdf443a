// What a graph's nodes can be coloured by: their own groups, and what other pictures of the page know of the layer's neurons.

const SHADES = 24;

// each: {label, groups: i -> group} or {label, value: i -> number at the step shown, low, high, diverging}
function colourChoices(chart, data, store) {
  const own = {label: chart.group_label, groups: (i) => data.groups[i]};
  if (data.runs.length) return [own]; // numbers of several runs' neurons mean nothing to a picture of one
  const others = index.slots.flatMap((slot) => slot.charts.filter((each) => each.layer === chart.layer)).flatMap((each) => choiceOf(each, data, store));
  const all = [own, ...others];
  return all.filter((choice, at) => all.findIndex((other) => other.label === choice.label) === at);
}

function choiceOf(chart, data, store) {
  if (chart.kind === "points") return [groupChoice(chart, data, store)];
  if (chart.kind === "heat" && !chart.names && chart.rows.length > 1 && chart.rows.every(Number.isInteger)) return [valueChoice(chart, data, store)];
  return [];
}

function groupChoice(chart, data, store) {
  const groups = readBlock(store, chart.groups), place = new Map(Array.from(readBlock(store, chart.neurons), (neuron, i) => [neuron, i]));
  return {label: chart.group_label, groups: (i) => groups[place.get(data.neurons[i])] ?? -1};
}

function valueChoice(chart, data, store) {
  const x = readBlock(store, chart.x), codes = readBlock(store, chart.codes), rows = new Map(chart.rows.map((neuron, row) => [neuron, row]));
  const value = (i) => {
    const row = rows.get(data.neurons[i]);
    return row === undefined ? NaN : valueOf(codes[nearest(x, state.step) * chart.rows.length + row], 65535, chart.low, chart.high);
  };
  if (chart.categorical) return {label: chart.value_label, groups: (i) => (Number.isFinite(value(i)) ? Math.round(value(i)) : -1)};
  return {label: chart.value_label, value, low: chart.low, high: chart.high, diverging: chart.diverging};
}

const LONE = -2; // of no group and without an edge, where others have one: fainter

// nodes in lots of one colour; a group beyond the eighth has its colour as a rim
function paintOf(nodes, choice, edges) {
  const lots = new Map();
  for (const i of nodes) {
    const group = choice.groups ? choice.groups(i) : null, isLone = choice.groups && group < 0 && edges.count > 0 && !edges.degree[i];
    const key = isLone ? LONE : group ?? shadeOf(choice, choice.value(i));
    if (!lots.has(key)) lots.set(key, {...(choice.groups ? groupPaint(key) : shadePaint(choice, key)), nodes: []});
    lots.get(key).nodes.push(i);
  }
  return [...lots.values()];
}

function groupPaint(group) {
  if (group === LONE) return {fill: withAlpha(token("none"), 0.5), rim: token("card"), width: 0.7};
  const colour = groupColour(group), ring = group >= GROUPS;
  return {fill: ring ? token("card") : colour, rim: ring ? colour : token("card"), width: ring ? 1.6 : 0.7};
}

function shadeOf({low, high}, value) {
  return Number.isFinite(value) ? Math.round(((SHADES - 1) * (value - low)) / (high - low || 1)) : -1;
}

function shadePaint({diverging}, shade) {
  const fill = shade < 0 ? token("blank") : `rgb(${mapColour(stopsOf(diverging), shade / (SHADES - 1)).join(",")})`;
  return {fill, rim: withAlpha(token("ink"), 0.35), width: 0.7};
}

function graphLegend(data, choice) {
  if (!choice.groups) return colourLegend({low: choice.low, high: choice.high, value_label: choice.label}, choice.diverging);
  return groupLegend({groups: Array.from(data.neurons, (_, i) => choice.groups(i)), groupLabel: choice.label, names: data.runs});
}
