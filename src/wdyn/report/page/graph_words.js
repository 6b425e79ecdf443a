// What a graph tells in words and numbers: pointed at, chosen, counted, listed, saved.

function nodeAt(view, x, y) {
  if (!view.fit) return -1;
  const {width, height} = graphSize(view), place = placeOn(view, width, height);
  let best = -1, reach = 14;
  for (const i of view.nodes) {
    const away = Math.max(0, Math.hypot(place.x(i) - x, place.y(i) - y) - place.radius(i));
    if (away < reach) [best, reach] = [i, away];
  }
  return best;
}

function pickNode(view, x, y) {
  const i = nodeAt(view, x, y);
  return i < 0 ? null : {neuron: view.data.neurons[i], layer: view.data.layer, lines: nodeWords(view, i)};
}

function nodeName({neurons, groups, runs}, i) {
  return runs.length ? `${clip(runs[groups[i]], 40)}, neuron ${neurons[i]}` : `neuron ${neurons[i]}`;
}

function nodeWords(view, i) {
  const {data, at, edges} = view, choice = view.choices[view.settings.colour];
  const lines = [nodeName(data, i), `norm: ${normText(data, at, i)}`];
  if (!data.runs.length) lines.push(`${data.groupLabel}: ${groupText(data.groups[i])}`);
  if (view.settings.colour) lines.push(`${choice.label}: ${choice.groups ? groupText(choice.groups(i)) : numberText(Number(choice.value(i).toPrecision(3)))}`);
  return [...lines, `edges: ${edges.degree[i]}`];
}

// as many places as the 255 codes of a radius tell apart
function normText(data, t, i) {
  const places = Math.min(Math.max(Math.floor(-Math.log10(data.largest / 254)), 0), 12);
  return numberText(Number(data.norm(t, i).toFixed(places)));
}

function graphWords(view) {
  const {data, at, edges, told, chosen} = view, {count, single, largest} = componentsOf(data, at, edges), chance = data.chance?.[at] ?? null;
  const choice = view.choices[view.settings.colour], blank = choice.value ? view.nodes.filter((i) => Number.isNaN(choice.value(i))).length : 0;
  const many = (number, word) => `${wholeNumber(number)} ${word}${number === 1 ? "" : "s"}`, dead = data.count - view.nodes.length;
  told.textContent = [
    `Shown: step ${wholeNumber(data.steps[at])}. At this cutoff: ${many(edges.count, "edge")}, ${many(count, "component")}${single ? ` (${wholeNumber(single)} of one neuron)` : ""}, the largest has ${many(largest, "neuron")}.`,
    chance !== null && data.high > data.low ? `Random directions reach an inner product of ${chance.toFixed(2).replace("-", "−")} in 1 of 100 cases.` : "",
    blank ? `${many(blank, "neuron")} that the map of ${flatText(choice.label, 60)} leaves out ${blank === 1 ? "is" : "are"} grey.` : "",
    dead ? `${many(dead, "dead neuron")} not drawn.` : "",
    view.layout.held.some(Boolean) ? "Dragged neurons stay where they were put until Reset." : "",
  ].filter(Boolean).join(" ");
  chosen.textContent = view.nodes.filter((i) => data.neurons[i] === neuronIn(data)).map((i) => neighbourWords(view, i)).join(" ");
}

function neighbourWords({data, edges}, i) {
  const near = neighboursOf(edges, i).map((j) => (data.runs.length ? nodeName(data, j) : data.neurons[j]));
  const more = near.length > 12 ? ` and ${near.length - 12} more` : "", own = nodeName(data, i), name = data.runs.length ? own : `N${own.slice(1)}`;
  return visible(`${name} ${near.length ? `is joined to ${near.slice(0, 12).join(", ")}${more}` : "has no edge"}.`);
}

function graphTable({data, at, edges}) {
  const order = Array.from({length: edges.count}, (_, k) => k).sort((a, b) => edges.at[b] - edges.at[a] || a - b).slice(0, PAIRS);
  const rows = order.map((k) => [nodeName(data, edges.from[k]), nodeName(data, edges.to[k]), ...[cosineOf, weightOf].map((of) => Number(of(data, edges.at[k]).toFixed(2)))]);
  const kept = edges.count > PAIRS ? `The ${PAIRS} strongest of ${wholeNumber(edges.count)} edges` : "All edges";
  return {headings: ["one end", "other end", "inner product", "weight"], rows,
    note: `${kept} at step ${wholeNumber(data.steps[at])} and this cutoff, as drawn, to 2 places; exact numbers with --report json.`};
}

// for the card of the picked neuron
function graphTells({data, at, edges, settings}, neuron) {
  const t = nearest(data.steps, state.step), from = `inner product from ${cosineText(data, settings.place)} on`;
  const nodes = Array.from(data.neurons.keys()).filter((i) => data.neurons[i] === neuron);
  if (!nodes.length) return [["edges", "", {note: `not among the ${wholeNumber(data.count)} neurons drawn`}]];
  const {degree} = edges && at === t ? edges : edgesAt(data, t, settings.place); // off the screen a graph is behind
  const note = (i) => (data.isLive(t, i) ? from : "no direction at this step");
  if (data.runs.length) return nodes.map((i) => [`edges, ${data.runs[data.groups[i]]}`, degree[i], {note: note(i)}]);
  return nodes.flatMap((i) => [[data.groupLabel, groupText(data.groups[i])], ["edges", degree[i], {note: note(i)}]]);
}

function groupText(group) {
  return group < 0 ? "none" : group;
}

function cosineText(data, place) {
  return (Math.round(100 * cosineOf(data, place)) / 100 + 0).toFixed(2).replace("-", "−"); // + 0: no minus before 0.00
}

function graphCsv({data, edges}) {
  const end = (i) => (data.runs.length ? [data.runs[data.groups[i]], data.neurons[i]] : [data.neurons[i]]);
  const ends = ["one", "other"].flatMap((which) => (data.runs.length ? [`run of ${which}`, which] : [which]));
  const rows = edges.at.map((place, k) => [...end(edges.from[k]), ...end(edges.to[k]), exactCode(cosineOf(data, place), data, PLACES)]);
  return {headings: [...ends, "inner product"], rows};
}
