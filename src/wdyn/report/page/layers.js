// The same picture of several layers side by side, at one step and, where values of layers compare, on one scale.

const MANY = 6; // layers at once: more would be too small to read
const OWN_SCALE = {
  points: "each has an embedding of its own", lifelines: "each has groups and a width of bands of its own",
  graph: "each has a layout, sizes and a cutoff of its own, which begins where chance ends in that layer, or at the lowest where nothing is beyond",
};

function layersSwitch(made) {
  const {slot} = made, several = !["table", "bars"].includes(slot.kind) && slot.charts.length > 1;
  const button = toolSwitch("all layers", `This picture of ${Math.min(slot.charts.length, MANY)} layers side by side`, () => {
    if (made.many) hideLayers(made);
    else showLayers(made);
    button.setAttribute("aria-pressed", String(made.many !== undefined));
  });
  button.hidden = !several;
  return button;
}

function showLayers(made) {
  const {slot, body, figure} = made, charts = layersShown(slot.charts), box = element("div", {class: captionOfAll(charts) ? "many captioned" : "many"});
  const scale = commonScale(charts, made.store), titled = new Set(charts.map(({title}) => title)).size > 1;
  body.hidden = true;
  body.after(element("p", {class: "where many-words"}, layersWords(slot, charts, scale)), box);
  figure.classList.add("spread");
  made.many = charts.map((chart) => {
    const inner = element("div", {class: "body"});
    box.append(element("div", {class: "one"}, element("h4", {}, nameElement(chart.layer)), ...(titled ? [element("p", {class: "where"}, nameElement(chart.title))] : []), inner));
    return {chart: scale ? {...chart, common: scale} : chart, view: VIEWS[slot.kind](inner, made.store), told: false};
  });
  tellLayers(made, made.many);
}

// one layer after the other, each in a task of its own: the page stays alive while large ones are laid out
function tellLayers(made, [first, ...rest]) {
  if (!first || !made.many?.includes(first)) return;
  first.view.show(first.chart);
  first.told = true;
  drawLayer(first.view);
  setTimeout(tellLayers, 0, made, rest);
}

function drawLayer(view) {
  view.render?.().catch(showTrouble);
  view.update();
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
  const told = made.many.filter((each) => each.told).map(({view}) => view), recoloured = made.late.has("dark");
  made.late.clear();
  if (recoloured) told.forEach((view) => view.recolour?.());
  told.forEach((view) => (recoloured ? drawLayer(view) : view.update()));
}

// all of them, or the picked one with those before and after it
function layersShown(charts) {
  const picked = charts.findIndex((chart) => chart.layer === state.layer);
  const first = Math.max(0, Math.min(picked - Math.floor(MANY / 2), charts.length - MANY));
  return charts.slice(first, first + MANY);
}

function layersWords({kind, charts}, shown, scale) {
  const which = shown.length < charts.length ? `${shown.length} of ${charts.length} layers, those around the picked one` : `All ${charts.length} layers`;
  const drawn = ["lines", "curves"].includes(kind) ? "values have one scale" : "colours have one scale";
  const own = OWN_SCALE[kind] ?? `each has ${shown[0].categorical ? "groups" : "a scale"} of its own`;
  return `${which}; ${scale ? drawn : own}. ${captionOfAll(shown)}`;
}

function captionOfAll([{caption = ""}, ...rest]) {
  return rest.every((each) => each.caption === caption) ? visible(caption) : "";
}

// least and largest of all, or null where they do not compare: kinds have no order, and other quantities another unit
function commonScale(charts, store) {
  const labels = new Set(charts.map((chart) => chart.y_label ?? chart.value_label));
  if (OWN_SCALE[charts[0].kind] || charts[0].categorical || labels.size > 1) return null;
  const ends = charts.flatMap((chart) => (chart.kind === "lines" ? lineEnds(chart, store) : [chart.low, chart.high]));
  return ends.length ? {low: Math.min(...ends), high: Math.max(...ends)} : null;
}

function lineEnds(chart, store) {
  const values = drawnValues(decodeLines(chart, store)).filter(chart.y_scale === "log" ? (value) => value > 0 && Number.isFinite(value) : Number.isFinite);
  return values.length ? extremes(values) : [];
}
