// Line charts: Plotly draws them; legend and step marker are our own.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
let plotlyLoading = null;

// the library comes out of the page itself, once the slider is alive
function loadPlotly() {
  plotlyLoading ??= inflate("plotly").then((bytes) => new Promise((resolve, reject) => {
    const script = element("script", {src: URL.createObjectURL(new Blob([bytes], {type: "text/javascript"}))});
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the chart library inside this page did not start"));
    document.head.append(script);
  }));
  return plotlyLoading;
}

function linesView(body, store) {
  const axis = element("p", {class: "y-label"}), box = element("div", {class: "plot"}), plot = element("div"), note = element("p", {class: "where"});
  const marker = element("div", {class: "marker", "aria-hidden": "true"}), legend = element("div");
  box.append(plot, marker);
  body.append(legend, axis, box, note);
  const view = {plot, marker, legend, note, data: null, hidden: new Set()};

  return {
    show(chart) {
      view.data = decodeLines(chart, store);
      this.recolour();
      axis.replaceChildren(nameElement(chart.y_label));
      note.textContent = view.data.x.length < chart.points ? `${wholeNumber(view.data.x.length)} of ${wholeNumber(chart.points)} points drawn; every peak is kept.` : "";
    },
    recolour: () => lineLegend(view),
    async render() {
      await drawPlot(await loadPlotly(), view, lineTraces(view.data, view.hidden), lineLayout(view.data));
      placeMarker(view);
    },
    update: () => placeMarker(view),
    table: () => linesTable(view.data),
  };
}

function decodeLines(chart, store) {
  const x = readBlock(store, chart.x), values = (ref) => readBlock(store, ref);
  const positive = x.find((value) => value > 0) || 1;
  return {
    ...chart, x, drawn: Array.from(x, (value) => (chart.x_scale === "log" && value <= 0 ? positive / 2 : value)),
    overSteps: /\bstep/.test(chart.x_label), // other axes, such as ranks, have no place for the slider's step
    ofLayers: chart.lines.some((line) => index.layers.includes(line.label)),
    lines: chart.lines.map((line) => ({...line, values: values(line.values)})),
    bands: chart.bands.map((band) => ({...band, low: values(band.low), high: values(band.high), line: chart.lines.findIndex((line) => line.label === band.label)})),
    reference: chart.reference.map((line) => ({...line, values: line.values !== null && typeof line.values === "object" ? values(line.values) : line.values})),
  };
}

// a label that is a layer keeps that layer's colour in every chart
function lineColour(data, at) {
  const layer = index.layers.indexOf(data.lines[at].label);
  return layer >= 0 ? seriesColour(layer, index.layers.length) : seriesColour(at, data.lines.length);
}

function lineTraces(data, hidden) {
  const gaps = (values) => Array.from(values, (value) => (Number.isFinite(value) ? value : null));
  const common = {x: data.drawn, type: "scatter", mode: "lines", showlegend: false};
  const traces = [];
  data.bands.forEach((band) => {
    if (hidden.has(band.line)) return;
    const edge = {...common, hoverinfo: "skip", line: {width: 0}}, colour = band.line < 0 ? token("muted") : lineColour(data, band.line);
    const fillcolor = withAlpha(colour, data.ofLayers && band.label !== state.layer ? 0.08 : 0.22);
    traces.push({...edge, y: gaps(band.low)}, {...edge, y: gaps(band.high), fill: "tonexty", fillcolor});
  });
  data.reference.forEach((line) => {
    const flat = line.values === null || typeof line.values === "number";
    const y = flat ? data.drawn.map(() => line.values) : gaps(line.values);
    traces.push({...common, y, name: plotText(line.label), line: {width: 1.25, dash: "dash", color: token("muted")}});
  });
  data.lines.forEach((line, at) => {
    if (hidden.has(at)) return;
    const quiet = data.ofLayers && line.label !== state.layer;
    const lone = isSparse(line.values);
    traces.push({
      ...common, y: gaps(line.values), name: plotText(line.label), opacity: quiet ? 0.6 : 1,
      mode: lone ? "lines+markers" : "lines", connectgaps: lone, line: {width: quiet ? 1.4 : 2.4, color: lineColour(data, at)}, marker: {size: 5, color: lineColour(data, at)},
    });
  });
  return traces;
}

// a quantity known only here and there would be invisible between its gaps: it gets dots, joined
function isSparse(values) {
  return !values.some((value, i) => i && Number.isFinite(value) && Number.isFinite(values[i - 1]));
}

function lineLayout(data) {
  const many = data.lines.length + data.reference.length > 10;
  return plotLayout({
    hovermode: many ? "closest" : "x unified",
    xaxis: {...scaleOf(data.x_scale, data.drawn, data.x), title: {text: plotText(data.x_label, 80), standoff: 8, font: {size: 12}}},
    yaxis: scaleOf(data.y_scale, data.lines.flatMap((line) => [...line.values])),
  });
}

// log axes get whole labels at round values, and step 0 its own, since a logarithm has no place for it
function scaleOf(type, values, named = null) {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  if (type !== "log" || !positive.length) return {type: "linear"};
  const low = positive.reduce((a, b) => Math.min(a, b)), high = positive.reduce((a, b) => Math.max(a, b));
  const decades = Math.log10(high / low), steps = decades > 2.2 ? [1] : decades > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) ticks.push(...steps.map((step) => Number(`${step}e${power}`)));
  const texts = ticks.map(numberText);
  if (named?.[0] === 0) {
    ticks.push(values[0]);
    texts.push("0");
  }
  return {type, tickvals: ticks, ticktext: texts};
}

function plotLayout({xaxis, yaxis, ...rest}) {
  const axis = {gridcolor: token("grid"), linecolor: token("line"), zerolinecolor: token("line"), tickcolor: token("line"), tickfont: {color: token("muted")}, automargin: true};
  return {
    height: 290, margin: {l: 44, r: 14, t: 8, b: 40}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: FONT, size: 12, color: token("muted")}, showlegend: false,
    hoverlabel: {bgcolor: token("card"), bordercolor: token("line"), font: {color: token("ink"), size: 12}},
    modebar: {bgcolor: "rgba(0,0,0,0)", color: token("muted"), activecolor: token("accent")},
    xaxis: {...axis, showgrid: false, ticks: "outside", spikecolor: token("muted"), spikethickness: 1, spikedash: "dot", ...xaxis},
    yaxis: {...axis, nticks: 6, hoverformat: ".4~g", ...yaxis}, ...rest,
  };
}

async function drawPlot(Plotly, view, traces, layout) {
  const first = !view.plot.classList.contains("js-plotly-plot");
  await Plotly.react(view.plot, traces, layout, {
    displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "", scrollZoom: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "sendDataToCloud"],
  });
  if (!first) return;
  view.plot.on("plotly_afterplot", () => placeMarker(view));
  view.plot.on("plotly_click", (event) => view.data.overSteps && chooseStep(view.data.x[event.points[0].pointIndex]));
}

function lineLegend(view) {
  const {data} = view;
  const toggle = (at, on) => {
    if (on) view.hidden.delete(at);
    else view.hidden.add(at);
    loadPlotly().then((Plotly) => Plotly.react(view.plot, lineTraces(data, view.hidden), lineLayout(data)));
  };
  view.hidden.clear();
  const lines = data.lines.map((line, at) => ({label: line.label, colour: lineColour(data, at), mark: "line"}));
  const fixed = data.reference.map((line) => ({label: line.label, colour: token("muted"), mark: "dash"}));
  if (data.bands.length) fixed.push({label: data.band_label, colour: token("muted"), mark: "band"});
  const parts = [lines.length > 1 && seriesLegend(lines, toggle), fixed.length && seriesLegend(fixed)];
  view.legend.replaceChildren(...parts.filter(Boolean));
  view.legend.className = "legend-row";
}

// moving one element costs nothing; asking Plotly for a new layout at each step would cost tens of milliseconds
function placeMarker(view) {
  const axis = view.plot._fullLayout?.xaxis;
  if (!axis || !view.data) return;
  const x = axis.d2p(view.data.drawn[nearest(view.data.x, state.step)]);
  const inside = view.data.overSteps && x >= 0 && x <= axis._length;
  view.marker.hidden = !inside;
  view.marker.style.transform = `translateX(${axis._offset + x}px)`;
  const {t, h} = view.plot._fullLayout._size;
  Object.assign(view.marker.style, {top: `${t}px`, height: `${h}px`});
}

function linesTable(data) {
  const columns = [[data.x_label, data.x]];
  data.lines.forEach((line) => columns.push([line.label, line.values]));
  data.bands.forEach((band) => columns.push([`${clip(band.label, 40)}: ${clip(data.band_label, 40)}, from`, band.low], ["to", band.high]));
  data.reference.forEach((line) => columns.push([line.label, line.values]));
  const cell = (values, i) => (values !== null && typeof values === "object" ? values[i] : values);
  const rows = Array.from(data.x, (_, i) => columns.map(([, values]) => cell(values, i)));
  return {headings: columns.map(([heading]) => heading), rows, note: ""};
}
