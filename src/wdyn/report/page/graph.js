// Neurons joined by edges, laid out by forces: step, cutoff and forces are the reader's; nodes can be dragged.

function graphView(body, store) {
  const legend = element("div"), told = element("p", {class: "where"}), chosen = element("p", {class: "where"}), caption = element("p", {class: "note"});
  const box = element("div", {class: "picture"}), beside = element("div", {class: "beside"}), canvas = makeCanvas(box, "");
  const view = {canvas, legend, told, chosen, data: null, nodes: [], running: false, dragging: false, settings: {...FORCES, forces: true, place: 0, colour: 0}};
  const controls = graphControls(view, (what) => graphChanged(view, what, controls));
  beside.append(legend, controls.box, told, chosen, caption);
  body.append(box, beside);
  const draw = () => {
    if (!view.edges) return;
    easeFit(view, true);
    drawGraph(view);
  };

  onResize(box, draw);
  onDrag(canvas, {find: (x, y) => nodeAt(view, x, y), take: (...at) => takeNode(view, ...at), drop: () => dropNode(view)});
  onPointer(canvas, (x, y) => pickNode(view, x, y));
  onArrows(canvas, () => view.data.numbers, () => view.data.layer);
  window.addEventListener("beforeprint", () => view.edges && runForces(view, {atOnce: true}));

  return {
    show(chart) {
      view.data = decodeGraph(chart, store);
      view.choices = colourChoices(chart, view.data, store);
      Object.assign(view.settings, {place: firstPlace(view.data), colour: 0});
      startGraph(view);
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${wholeNumber(view.data.count)} neurons. Arrow keys select one, Escape none.`);
      caption.textContent = visible(chart.caption);
      controls.show();
    },
    update() {
      const at = nearest(view.data.steps, state.step), first = view.at === null;
      if (at !== view.at) {
        view.at = at;
        takeStep(view);
        warm(view, first ? 1 : WARM);
      }
      paintGraph(view);
      graphWords(view);
      runForces(view, {atOnce: first});
    },
    marks: (neuron) => view.data.neurons.some((each, i) => each === neuron && view.data.isLive(nearest(view.data.steps, state.step), i)),
    tells: (neuron) => graphTells(view, neuron),
    table: () => graphTable(view),
    csv: () => graphCsv(view),
    csvOfStep: true,
    step: () => view.data.steps[view.at],
  };
}

// every node where the layer's picture begins
function startGraph(view) {
  const {data} = view, {width, height} = graphSize(view);
  Object.assign(view, {layout: makeLayout(data.count, data.start, width / height), at: null, edges: null, fit: null});
}

// the nodes and edges of the step
function takeStep(view) {
  const {data, layout, at} = view;
  for (let i = 0; i < data.count; i++) {
    layout.live[i] = Number(data.isLive(at, i));
    layout.radius[i] = nodeRadius(data.share(at, i));
  }
  view.nodes = Array.from(data.neurons.keys()).filter((i) => layout.live[i]);
  view.edges = edgesAt(data, at, view.settings.place);
}

function graphChanged(view, what, controls) {
  if (what === "reset") {
    Object.assign(view.settings, FORCES, {forces: true, place: firstPlace(view.data)});
    startGraph(view);
    view.at = nearest(view.data.steps, state.step);
    controls.show();
  }
  if (what === "reset" || what === "cutoff") takeStep(view);
  if (what !== "colour") warm(view, what === "reset" ? 1 : WARM);
  paintGraph(view);
  graphWords(view);
  runForces(view, {atOnce: what === "reset"});
}

function warm(view, heat) {
  view.layout.heat = view.settings.forces ? Math.max(view.layout.heat, heat) : 0;
}

function paintGraph(view) {
  const choice = view.choices[view.settings.colour];
  view.paint = paintOf(view.nodes, choice, view.edges);
  const legend = graphLegend(view.data, choice);
  if (!view.legend.firstChild?.isEqualNode(legend)) view.legend.replaceChildren(legend); // else the page is not laid out anew
}

// frame by frame until nothing moves; at once where motion is unwelcome or has no beginning
function runForces(view, {atOnce = false} = {}) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const now = (atOnce || still) && !view.dragging;
  if (now) settle(view.layout, {...view.settings, edges: view.edges});
  if (view.running && now) easeFit(view, true); // the loop finds nothing left to do
  if (view.running) return now || pixelRatio !== null ? drawGraph(view) : undefined; // the loop draws in time, but not what is printed or saved
  if (!view.dragging) easeFit(view, atOnce || still);
  graphFrame(view, still);
}

function graphFrame(view, still) {
  if (!still && view.layout.heat > 0) tick(view.layout, {...view.settings, edges: view.edges});
  const arrived = view.dragging || easeFit(view, still);
  drawGraph(view);
  view.running = !still && (view.layout.heat > 0 || !arrived);
  view.canvas.setAttribute("aria-busy", String(view.running));
  if (view.running) requestAnimationFrame(() => graphFrame(view, false));
  else refreshTip();
}

// a dragged node stays where it is put until all is reset
function takeNode(view, node, x, y) {
  const {width, height} = graphSize(view), {layout, fit} = view;
  view.dragging = true;
  layout.held[node] = 1;
  layout.x[node] = fit.x + (x - width / 2) / fit.scale;
  layout.y[node] = fit.y + (y - height / 2) / fit.scale;
  warm(view, WARM);
  runForces(view);
}

function dropNode(view) {
  view.dragging = false;
  warm(view, WARM);
  graphWords(view);
  runForces(view);
}
