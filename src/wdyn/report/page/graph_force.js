// Where the nodes of a graph lie: they push each other away, edges hold them together, the middle holds all, and none
// lies on another. No chance is involved: the same start and the same forces give the same places.

const FORCES = {charge: 30, distance: 30}; // what the sliders begin with; a length of 30 is the distance of linked nodes
const PULL = 0.1, FRICTION = 0.6, COOLING = 0.96, REST = 0.003, WARM = 0.3;
const GAP = 1.5; // least space between two nodes
const ROUNDS = 80; // at rest, at most so many attempts to part nodes that still overlap

// start(i) -> [x, y]; aspect: width over height of the room there is
function makeLayout(count, start, aspect) {
  const numbers = () => new Float64Array(count);
  const layout = {count, x: numbers(), y: numbers(), vx: numbers(), vy: numbers(), radius: numbers(), live: new Uint8Array(count), held: new Uint8Array(count), heat: 0, pullX: PULL / Math.sqrt(aspect), pullY: PULL * Math.sqrt(aspect)};
  const spread = 15 * Math.sqrt(count), size = Math.max(1e-9, ...Array.from({length: count}, (_, i) => Math.hypot(...start(i))));
  for (let i = 0; i < count; i++) {
    const [x, y] = start(i), turn = 2.4 * i, aside = Math.sqrt(i + 0.5); // what would coincide is laid out as a sunflower
    layout.x[i] = (x / size) * spread + aside * Math.cos(turn);
    layout.y[i] = -(y / size) * spread + aside * Math.sin(turn);
  }
  return layout;
}

// one step of the motion; forces: {charge, distance, edges}
function tick(layout, forces) {
  const nodes = movable(layout);
  pullEdges(layout, forces);
  pushApart(layout, nodes, forces.charge * layout.heat);
  for (const i of nodes) {
    if (layout.held[i]) continue;
    layout.vx[i] = FRICTION * (layout.vx[i] - layout.pullX * layout.heat * layout.x[i]);
    layout.vy[i] = FRICTION * (layout.vy[i] - layout.pullY * layout.heat * layout.y[i]);
    layout.x[i] += layout.vx[i];
    layout.y[i] += layout.vy[i];
  }
  partOverlaps(layout, nodes);
  layout.heat *= COOLING;
  if (layout.heat < REST) comeToRest(layout, nodes);
}

// all the way at once: at most 150 ticks
function settle(layout, forces) {
  while (layout.heat > 0) tick(layout, forces);
}

function comeToRest(layout, nodes) {
  layout.heat = 0;
  layout.vx.fill(0);
  layout.vy.fill(0);
  for (let round = 0; round < ROUNDS && partOverlaps(layout, nodes); round++);
}

function movable({live, count}) {
  return Int32Array.from({length: count}, (_, i) => i).filter((i) => live[i]);
}

function pullEdges({x, y, vx, vy, heat}, {edges, distance}) {
  const {from, to, degree} = edges;
  for (let k = 0; k < edges.count; k++) {
    const i = from[k], j = to[k];
    const dx = x[j] + vx[j] - x[i] - vx[i] || 1e-6, dy = y[j] + vy[j] - y[i] - vy[i] || 1e-6, length = Math.hypot(dx, dy);
    const pull = ((length - distance) / length) * (heat / Math.min(degree[i], degree[j])); // many edges of one node share its strength
    const share = degree[i] / (degree[i] + degree[j]); // the node with fewer edges moves more
    vx[j] -= dx * pull * share;
    vy[j] -= dy * pull * share;
    vx[i] += dx * pull * (1 - share);
    vy[i] += dy * pull * (1 - share);
  }
}

// every pair: half a millisecond for 512 nodes, so no tree of them is needed
function pushApart({x, y, vx, vy}, nodes, strength) {
  for (let a = 0; a < nodes.length; a++) {
    const i = nodes[a], xi = x[i], yi = y[i];
    let fx = 0, fy = 0;
    for (let b = a + 1; b < nodes.length; b++) {
      const j = nodes[b], dx = x[j] - xi || 1e-6, dy = y[j] - yi || 1e-6, push = strength / Math.max(dx * dx + dy * dy, 1);
      fx -= dx * push;
      fy -= dy * push;
      vx[j] += dx * push;
      vy[j] += dy * push;
    }
    vx[i] += fx;
    vy[i] += fy;
  }
}

// says whether any two lay on one another; from left to right, so that most pairs need no look
function partOverlaps({x, y, radius, held}, nodes) {
  const widest = 2 * nodes.reduce((most, i) => Math.max(most, radius[i]), 0) + 2 * GAP;
  let found = false;
  nodes.sort((i, j) => x[i] - x[j] || i - j);
  for (let a = 0; a < nodes.length; a++) {
    const i = nodes[a];
    for (let b = a + 1; b < nodes.length; b++) {
      const j = nodes[b], apart = radius[i] + radius[j] + GAP;
      let dx = x[j] - x[i], dy = y[j] - y[i];
      if (dx >= widest) break;
      const square = dx * dx + dy * dy;
      if (square >= apart * apart || (held[i] && held[j])) continue;
      found ||= square < (apart - 0.5 * GAP) ** 2;
      if (square < 1e-12) [dx, dy] = [Math.cos(i), Math.sin(i)];
      const length = Math.hypot(dx, dy), push = (apart - Math.sqrt(square)) / length, mine = held[i] ? 0 : held[j] ? 1 : 0.5;
      x[i] -= dx * push * mine;
      y[i] -= dy * push * mine;
      x[j] += dx * push * (1 - mine);
      y[j] += dy * push * (1 - mine);
    }
  }
  return found;
}
