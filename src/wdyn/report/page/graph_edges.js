// A graph's numbers: edges at a step and a cutoff, and what hangs together. The way back from report/edge_data.py.

const PLACES = 254; // places of the cutoff, less one

function decodeGraph(chart, store) {
  const read = (ref) => readBlock(store, ref), neurons = read(chart.neurons), count = neurons.length;
  const radius = read(chart.radius), places = read(chart.places), pairs = read(chart.pairs);
  const coordinate = (axis, i) => valueOf(places[axis * count + i], 65535, ...chart.limits[axis]);
  return {
    layer: chart.layer, count, neurons, times: chart.steps.length, steps: chart.steps, groups: read(chart.groups), groupLabel: chart.group_label, runs: chart.runs,
    from: Int32Array.from(pairs, (pair) => Math.floor(pair / count)), to: Int32Array.from(pairs, (pair) => pair % count),
    codes: sumOfChanges(read(chart.codes), chart.steps.length), knots: chart.knots, low: chart.knots[0][1], high: chart.knots.at(-1)[1], sigma: chart.sigma, chance: chart.chance, largest: chart.largest,
    numbers: [...new Set(neurons)].sort((a, b) => a - b),
    isLive: (t, i) => radius[t * count + i] !== 255,
    share: (t, i) => (radius[t * count + i] % 255) / 254,
    norm: (t, i) => valueOf(radius[t * count + i], 255, 0, chart.largest),
    start: (i) => [coordinate(0, i), coordinate(1, i)],
  };
}

// each pair's codes stand side by side, as differences; Uint8Array wraps around as the encoder did
function sumOfChanges(codes, times) {
  for (let k = 0; k < codes.length; k++) if (k % times) codes[k] += codes[k - 1];
  return codes;
}

// edges that pass the cutoff; `at` is the highest place that an edge passes
function edgesAt(data, t, place) {
  const found = {from: [], to: [], at: []};
  for (let p = 0; p < data.from.length; p++) {
    const code = data.codes[p * data.times + t];
    if (code <= place) continue; // 0 is no edge, place k takes codes from 1 + k on
    found.from.push(data.from[p]);
    found.to.push(data.to[p]);
    found.at.push(code - 1);
  }
  return {...found, count: found.at.length, degree: degrees(found, data.count)};
}

function degrees({from, to}, count) {
  const degree = new Int32Array(count);
  for (const ends of [from, to]) ends.forEach((i) => degree[i]++);
  return degree;
}

// evenly spaced between the knots
function cosineOf({knots}, place) {
  const upper = Math.max(1, knots.findIndex(([at]) => at >= place)), [[a, x], [b, y]] = knots.slice(upper - 1, upper + 1);
  return x + ((place - a) * (y - x)) / (b - a);
}

function weightOf(data, place) {
  const distance = (1 - cosineOf(data, place)) / 2;
  return data.sigma > 1e-12 ? Math.exp(-((distance / data.sigma) ** 2)) : 1; // all neurons coincide
}

// the cutoff to begin with: what chance does not give at the last step, or everything where that leaves no edge
function firstPlace(data) {
  const [place] = data.knots.length > 2 ? data.knots[1] : [0];
  return edgesAt(data, data.times - 1, place).count ? place : 0;
}

// connected components of the live nodes, those of a single node among them
function componentsOf(data, t, edges) {
  const parent = Int32Array.from({length: data.count}, (_, i) => i), size = new Map();
  for (let k = 0; k < edges.count; k++) parent[rootOf(parent, edges.from[k])] = rootOf(parent, edges.to[k]);
  for (let i = 0; i < data.count; i++) {
    if (data.isLive(t, i)) size.set(rootOf(parent, i), (size.get(rootOf(parent, i)) ?? 0) + 1);
  }
  const sizes = [...size.values()];
  return {count: sizes.length, single: sizes.filter((each) => each === 1).length, largest: Math.max(0, ...sizes)};
}

function rootOf(parent, node) {
  while (parent[node] !== node) node = parent[node] = parent[parent[node]];
  return node;
}

function neighboursOf(edges, i) {
  const found = [];
  for (let k = 0; k < edges.count; k++) {
    if (edges.from[k] === i) found.push(edges.to[k]);
    else if (edges.to[k] === i) found.push(edges.from[k]);
  }
  return found;
}
