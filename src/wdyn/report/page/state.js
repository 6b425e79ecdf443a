// What the reader has chosen, and who wants to know. Everything is redrawn at most once per frame.

const state = {at: 0, layer: null, neuron: null, dark: false};
const watchers = [];
let pending = null;

function watch(watcher) {
  watchers.push(watcher);
}

function choose(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!changed.length) return;
  Object.assign(state, changes);
  if (pending === null) {
    pending = new Set();
    requestAnimationFrame(tellWatchers);
  }
  changed.forEach((key) => pending.add(key));
}

function tellWatchers() {
  if (pending === null) return; // told already, out of turn, for printing
  const changed = pending;
  pending = null;
  watchers.forEach((watcher) => watcher(changed));
}

// the chosen neuron, as far as a chart shows the layer it belongs to
function neuronIn({layer}) {
  return layer === null || layer === state.layer ? state.neuron : null;
}

// place of the value in a sorted list that is nearest to a step
function nearest(sorted, step) {
  let best = 0;
  for (let i = 1; i < sorted.length; i++) {
    if (Math.abs(sorted[i] - step) < Math.abs(sorted[best] - step)) best = i;
  }
  return best;
}
