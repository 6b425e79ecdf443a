// A slot is one place on the page. It shows the chart of the picked layer and a table of its numbers.

const THROUGH_TIME = ["points", "matrix", "graph", "images", "curves"]; // their numbers are those of the step
const VIEWS = {
  points: pointsView, matrix: matrixView, graph: graphView, heat: heatView, lifelines: lifelinesView, curves: curvesView, lines: linesView, bars: barsView, images: imagesView, table: tableView,
};

function makeSlot(slot, store) {
  const figure = document.getElementById(slot.id), body = figure.querySelector(".body");
  const made = {figure, body, slot, store, chart: null, view: VIEWS[slot.kind](body, store), told: null, visible: false, late: new Set(), stale: true};
  made.empty = element("p", {class: "empty", hidden: ""}, "Nothing here for this layer.");
  figure.append(made.empty);
  if (made.view.table) addTable(made);
  made.tools = element("div", {class: "tools"}, layersSwitch(made), ...(made.view.tools ?? []), saveMenu(made));
  figure.querySelector("figcaption").append(made.tools);
  showChart(made);
  return made;
}

// draws what changed; a slot off the screen remembers it until it is seen
function updateSlot(made, changed) {
  const {slot} = made;
  if (changed.has("layer")) showChart(made);
  changed.forEach((key) => made.late.add(key));
  if (!made.chart || !made.visible) return;
  if (made.many) return updateLayers(made);
  const view = toldView(made);
  if (made.late.has("dark") || made.late.has("layer")) made.stale = true; // lines named after layers change their emphasis
  if (made.late.has("dark") && view.recolour) view.recolour();
  made.late.clear();
  if (view.render && made.stale) view.render().catch(showTrouble);
  made.stale = false;
  view.update();
  if (made.details?.open && (made.listed !== made.chart || THROUGH_TIME.includes(slot.kind))) fillTable(made);
}

function showChart(made) {
  const {figure, slot} = made;
  const own = slot.charts.find((each) => each.layer === null || each.layer === state.layer);
  const chart = own ?? (slot.charts.length === 1 ? slot.charts[0] : null); // what only one layer has is always shown
  made.chart = chart;
  made.body.hidden = chart === null || made.many !== undefined;
  figure.querySelectorAll(".many, .many-words").forEach((each) => { each.hidden = chart === null; });
  made.tools.hidden = chart === null;
  made.empty.hidden = chart !== null;
  if (made.details) made.details.hidden = chart === null;
  figure.querySelector("h3").replaceChildren(nameElement((chart ?? slot.charts[0]).title));
  figure.querySelector(".of").replaceChildren(chart && chart.layer !== null ? nameElement(chart.layer) : "");
}

// the slot's view with its chart, whose numbers are decoded only when somebody looks at it or asks it
function toldView(made) {
  if (made.told !== made.chart) made.view.show(made.chart);
  made.told = made.chart;
  return made.view;
}

// what lies off the screen, one slot after the other and each in a task of its own, so that no frame waits for all
function tellRest([made, ...rest]) {
  if (!made) return;
  if (made.chart) toldView(made);
  setTimeout(tellRest, 0, rest);
}

// how many pictures of the layer show neurons, and in how many of them a neuron stands
function markedIn(slots, neuron) {
  const pictures = slots.filter((made) => made.chart && made.view.marks && made.chart.layer === state.layer);
  return [pictures.filter((made) => toldView(made).marks(neuron)).length, pictures.length];
}

function addTable(made) {
  made.details = element("details", {}, element("summary", {}, "Numbers"));
  made.details.addEventListener("toggle", () => made.details.open && fillTable(made));
  made.figure.append(made.details);
}

function fillTable(made) {
  made.listed = made.chart;
  made.details.querySelector("div")?.remove();
  made.details.append(tableElement(toldView(made).table()));
}

function watchVisible(slots) {
  const bySlot = new Map(slots.map((made) => [made.figure, made]));
  const observer = new IntersectionObserver((entries) => entries.forEach((entry) => {
    setVisible(bySlot.get(entry.target), entry.isIntersecting);
  }), {rootMargin: "200px"});
  slots.forEach((made) => observer.observe(made.figure));
}

function setVisible(made, visible) {
  made.visible = visible;
  updateSlot(made, new Set());
}
