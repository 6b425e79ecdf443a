// The same picture of several layers side by side, at one step and, where colours are values, on one scale.

const MANY = 6; // layers at once: more would be too small to read

function layersSwitch(made) {
  const {slot} = made, several = ["points", "matrix", "heat"].includes(slot.kind) && slot.charts.length > 1;
  const button = toolSwitch("all layers", `This picture of ${Math.min(slot.charts.length, MANY)} layers side by side`, () => {
    if (made.many) hideLayers(made);
    else showLayers(made);
    button.setAttribute("aria-pressed", String(made.many !== undefined));
  });
  button.hidden = !several;
  return button;
}

function showLayers(made) {
  const {slot, body, figure} = made, charts = layersShown(slot.charts), box = element("div", {class: "many"});
  body.hidden = true;
  body.after(element("p", {class: "where many-words"}, layersWords(slot, charts)), box);
  figure.classList.add("spread");
  made.many = charts.map((chart) => {
    const inner = element("div", {class: "body"});
    box.append(element("div", {class: "one"}, element("h4", {}, nameElement(chart.layer)), inner));
    const view = VIEWS[slot.kind](inner, made.store);
    view.show(onOneScale(chart, charts));
    return {chart, view};
  });
  updateLayers(made);
}

function hideLayers(made) {
  made.figure.querySelectorAll(".many, .many-words").forEach((each) => each.remove());
  made.figure.classList.remove("spread");
  delete made.many;
  made.body.hidden = false;
  updateSlot(made, new Set(["dark"]));
}

// a picked layer that is not among those shown brings its neighbours with it
function updateLayers(made) {
  const isShown = made.many.some(({chart}) => chart.layer === state.layer);
  if (made.late.has("layer") && !isShown && made.chart) {
    hideLayers(made);
    return showLayers(made);
  }
  if (made.late.has("dark")) made.many.forEach(({view}) => view.recolour?.());
  made.late.clear();
  made.many.forEach(({view}) => view.update());
}

// all of them, or the picked one with those before and after it
function layersShown(charts) {
  const picked = charts.findIndex((chart) => chart.layer === state.layer);
  const first = Math.max(0, Math.min(picked - Math.floor(MANY / 2), charts.length - MANY));
  return charts.slice(first, first + MANY);
}

function layersWords({kind, charts}, shown) {
  const which = shown.length < charts.length ? `${shown.length} of ${charts.length} layers, those around the picked one` : `All ${charts.length} layers`;
  return `${which}; ${kind === "points" ? "each has an embedding of its own" : "colours have one scale"}.`;
}

function onOneScale(chart, charts) {
  if (chart.low === undefined) return chart;
  return {...chart, common: {low: Math.min(...charts.map(({low}) => low)), high: Math.max(...charts.map(({high}) => high))}};
}
