// A slot is one place on the page. It shows the chart of the picked layer and a table of its numbers.

const VIEWS = {points: pointsView, matrix: matrixView, heat: heatView, lines: linesView, bars: barsView, table: tableView};

function makeSlot(slot, store) {
  const figure = document.getElementById(slot.id), body = figure.querySelector(".body");
  const made = {figure, body, slot, chart: null, view: VIEWS[slot.kind](body, store), seen: false, stale: true};
  made.empty = element("p", {class: "empty", hidden: ""}, "Nothing here for this layer.");
  figure.append(made.empty);
  if (made.view.table) addTable(made);
  return made;
}

// draws what changed; charts off the screen wait until they are seen
function updateSlot(made, changed) {
  const {slot, view} = made;
  if (changed.has("layer") || !made.chart) {
    const chart = slot.charts.find((each) => each.layer === null || each.layer === state.layer) || null;
    showChart(made, chart);
  } else if (changed.has("dark")) {
    if (view.recolour) view.recolour();
    made.stale = true;
  }
  if (!made.chart) return;
  if (view.render && made.stale && made.seen) {
    made.stale = false;
    view.render().catch(showTrouble);
  }
  view.update(changed);
  if (made.details?.open && (made.fresh !== made.chart || slot.kind === "points" || slot.kind === "matrix")) fillTable(made);
}

function showChart(made, chart) {
  const {figure, view} = made, same = chart !== null && chart === made.chart;
  made.chart = chart;
  made.body.hidden = chart === null;
  made.empty.hidden = chart !== null;
  if (made.details) made.details.hidden = chart === null;
  if (chart) figure.querySelector("h3").replaceChildren(nameElement(chart.title));
  figure.querySelector(".of").replaceChildren(chart && chart.layer !== null ? nameElement(chart.layer) : "");
  if (chart && !same) view.show(chart);
  made.stale = true; // lines named after layers change their emphasis
}

function addTable(made) {
  made.details = element("details", {}, element("summary", {}, "Numbers"));
  made.details.addEventListener("toggle", () => made.details.open && fillTable(made));
  made.figure.append(made.details);
}

function fillTable(made) {
  made.fresh = made.chart;
  made.details.querySelector("div")?.remove();
  made.details.append(tableElement(made.view.table()));
}

function watchSeen(slots) {
  const bySlot = new Map(slots.map((made) => [made.figure, made]));
  const observer = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    observer.unobserve(entry.target);
    seen(bySlot.get(entry.target));
  }), {rootMargin: "300px"});
  slots.filter((made) => made.view.render).forEach((made) => observer.observe(made.figure));
}

function seen(made) {
  made.seen = true;
  updateSlot(made, new Set());
}
