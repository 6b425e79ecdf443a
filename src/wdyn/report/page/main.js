// Starts the page: slider and pictures first, the chart library when they are alive.

let index = null; // what there is to show; its numbers are in the store

function showTrouble(error) {
  const place = document.getElementById("trouble");
  place.hidden = false;
  place.textContent = `This page could not draw everything: ${error.message}. The numbers are also given by --report json.`;
  console.error(error);
}

async function start() {
  const showPlaceAgain = keepPlace();
  setTheme(window.matchMedia("(prefers-color-scheme: dark)").matches);
  const [words, store] = await Promise.all([inflate("index"), inflate("data")]);
  index = JSON.parse(new TextDecoder().decode(words));
  Object.assign(state, {at: index.steps.length - 1, layer: index.layers[0] ?? null});
  Object.defineProperty(state, "step", {get: () => index.steps[state.at]});
  setUpControls();
  showControls();
  const slots = index.slots.map((slot) => makeSlot(slot, store)), card = makeCard(() => state.neuron !== null && showCard(card, slots));
  const redraw = (changed) => {
    showControls();
    slots.forEach((made) => updateSlot(made, changed));
    if (["neuron", "layer", "at"].some((key) => changed.has(key))) showPicked(slots);
    showCard(card, slots);
    refreshTip();
  };
  watch(redraw);
  slots.filter((made) => made.slot.kind === "points" || made.slot.kind === "matrix").forEach((made) => setVisible(made, true)); // a graph waits until it is seen
  showPlaceAgain();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
  watchVisible(slots);
  tellRest(slots);
  if (slots.some(({slot}) => ["lines", "bars"].includes(slot.kind))) loadLater();
  followSystem(slots);
}

// whoever prints a page has not looked at its charts, perhaps, and a printer does not wait
function loadLater() {
  (window.requestIdleCallback ?? setTimeout)(() => loadPlotly().catch(showTrouble));
}

function followSystem(slots) {
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => setTheme(event.matches));
  let before = null, unseen = [];
  window.addEventListener("beforeprint", () => {
    before = state.dark;
    setTheme(false);
    tellWatchers();
    unseen = slots.filter((made) => !made.visible);
    slots.forEach((made) => setVisible(made, true));
  });
  window.addEventListener("afterprint", () => {
    unseen.forEach((made) => { made.visible = false; }); // an observer tells of changes alone
    setTheme(before);
  });
}

start().catch(showTrouble);
