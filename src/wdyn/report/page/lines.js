// Line charts: Plotly draws them; legend and step marker are our own.

const DASHES = ["7px,4px", "2px,3px", "14px,4px", "9px,3px,2px,3px", "5px,2px,1px,2px,1px,2px", "1px,6px"]; // one per reference line

function linesView(body, store) {
  const axis = element("p", {class: "y-label"}), box = element("div", {class: "plot"}), plot = element("div"), note = element("p", {class: "where"});
  const marker = element("div", {class: "marker", "aria-hidden": "true"}), legend = element("div", {class: "legend-row"});
  const empty = element("p", {class: "empty", hidden: ""}, "There is no value to draw.");
  box.append(plot, marker);
  body.append(legend, axis, empty, box, note);
  const view = {plot, marker, legend, note, axis, data: null, hidden: new Set(), store, scales: {}, isZoomed: false, revision: 0};
  view.tools = axisTools(view);
  fitPlot(plot);

  return {
    tools: Object.values(view.tools),
    show(chart) {
      view.chart = chart;
      decodeAgain(view);
      view.isZoomed = false;
      view.hidden.clear();
      showAxisTools(view);
      lineLegend(view);
      empty.hidden = view.data.lines.some((line) => line.values.some(Number.isFinite));
      box.hidden = !empty.hidden;
      note.textContent = view.data.x.length < chart.points ? `${wholeNumber(view.data.x.length)} of ${wholeNumber(chart.points)} points drawn; every peak is kept.` : "";
    },
    async render() {
      lineLegend(view); // colours depend on theme and layer
      if (box.hidden) return;
      await drawLines(await loadPlotly(), view);
      placeMarker(view);
    },
    update: () => placeMarker(view),
    table: () => linesTable(view.data),
    csv: () => linesTable(view.data),
    picture: (format) => plotPicture(view.data, {format, box: plot, traces: namedTraces(view), layout: lineLayout(view.data, plot)}),
  };
}

function decodeLines(chart, store) {
  const x = readBlock(store, chart.x), values = (ref) => readBlock(store, ref);
  const overSteps = /\bsteps?\b/.test(chart.x_label); // other axes, such as ranks, have no place for the slider's step
  const positive = (overSteps && index.range.positive) || x.find((value) => value > 0) || 1;
  const place = (value) => (chart.x_scale === "log" && value <= 0 ? positive / 2 : value);
  return {
    ...chart, x, overSteps, positive, place, drawn: Array.from(x, place),
    ofLayers: chart.layer === null && chart.lines.some((line) => index.layers.includes(line.label)),
    lines: chart.lines.map((line) => ({...line, values: values(line.values)})),
    bands: chart.bands.map((band) => ({...band, low: values(band.low), high: values(band.high), line: chart.lines.findIndex((line) => line.label === band.label)})),
    reference: chart.reference.map((line) => ({...line, values: line.values !== null && typeof line.values === "object" ? values(line.values) : line.values})),
  };
}

// more layers than colours: the picked one stands out, the others are one grey crowd
function isCrowd(data) {
  return data.ofLayers && data.lines.length > GROUPS;
}

function isQuiet(data, label) {
  return data.ofLayers && label !== state.layer;
}

// a label that is a layer keeps that layer's colour in every chart
function lineColour(data, at) {
  if (isCrowd(data)) return token(isQuiet(data, data.lines[at].label) ? "none" : "c0");
  const layer = index.layers.indexOf(data.lines[at].label);
  return layer >= 0 ? seriesColour(layer, index.layers.length) : seriesColour(at, data.lines.length);
}

// the colours of a band: of its line, faint where another layer is picked
function bandColours(data, band) {
  const colour = band.line < 0 ? token("muted") : lineColour(data, band.line), quiet = isQuiet(data, band.label);
  return {fill: withAlpha(colour, quiet ? 0.07 : 0.24), edge: withAlpha(colour, quiet ? 0.35 : 0.75)};
}

// for a picture that has no legend of its own beside it: one name for each thing that is drawn
function namedTraces(view) {
  const {data, hidden} = view, seen = new Set();
  return lineTraces(data, hidden).map((trace) => {
    const name = trace.fill ? plotText(data.band_label) : isCrowdTrace(data, trace) ? "other layers" : trace.name;
    const first = name !== undefined && !seen.has(name);
    seen.add(name);
    return {...trace, name, showlegend: first};
  });
}

function isCrowdTrace(data, trace) {
  return isCrowd(data) && trace.opacity < 1;
}

// what is known only to be drawn beneath comes first: bands, then quiet lines, then the others
function lineTraces(data, hidden) {
  const common = {x: data.drawn, type: "scatter", mode: "lines", showlegend: false};
  const lines = data.lines.map((line, at) => ({line, at})).filter(({at}) => !hidden.has(at));
  const loud = ({line}) => Number(!isQuiet(data, line.label));
  const bands = data.bands.filter((band) => !hidden.has(band.line)).sort((a, b) => loud({line: a}) - loud({line: b}));
  return [
    ...bands.flatMap((band) => bandTraces(common, data, band)),
    ...data.reference.map((line, at) => referenceTrace(common, data, line, at)),
    ...lines.sort((a, b) => loud(a) - loud(b)).map(({line, at}) => lineTrace(common, data, line, at)),
  ];
}

function withGaps(values) {
  return Array.from(values, (value) => (Number.isFinite(value) ? value : null));
}

// numbers in a hover label as everywhere else on the page
function hoverOf(data, line) {
  line.texts ??= Array.from(data.x, (_, i) => valueText(valueAt(line.values, i), data.y_label));
  return {name: plotText(line.label), hovertext: line.texts, hovertemplate: `%{hovertext}<extra>${plotText(line.label)}</extra>`};
}

function valueAt(values, i) {
  return values !== null && typeof values === "object" ? values[i] : values;
}

function bandTraces(common, data, band) {
  const {fill, edge} = bandColours(data, band), rim = {...common, ...loneMarks(band.low, edge), hoverinfo: "skip", line: {width: 1, color: edge}};
  return [{...rim, y: withGaps(band.low)}, {...rim, y: withGaps(band.high), fill: "tonexty", fillcolor: fill}];
}

function referenceTrace(common, data, line, at) {
  const y = withGaps(data.x.map((_, i) => valueAt(line.values, i) ?? NaN));
  return {...common, ...loneMarks(y, token("muted")), ...hoverOf(data, line), y, line: {width: 1.5, dash: DASHES[at % DASHES.length], color: token("muted")}};
}

function lineTrace(common, data, line, at) {
  const quiet = isQuiet(data, line.label), lone = isSparse(line.values), color = lineColour(data, at);
  return {
    ...common, ...hoverOf(data, line), y: withGaps(line.values), opacity: quiet ? 0.6 : 1,
    mode: lone ? "lines+markers" : "lines", connectgaps: lone, line: {width: quiet ? 1.4 : 2.4, color}, marker: {size: 5, color},
  };
}

// what chance gives at a lone step is a dash there, as wide as the eye needs
function loneMarks(values, color) {
  return isSparse(values) ? {mode: "markers", marker: {symbol: "line-ew", size: 22, line: {width: 2, color}}} : {};
}

// a quantity known only here and there would be invisible between its gaps: it gets dots, joined
function isSparse(values) {
  return !values.some((value, i) => i && Number.isFinite(value) && Number.isFinite(values[i - 1]));
}

function lineLayout(data, box) {
  const many = data.lines.length + data.reference.length > 10;
  return plotLayout({
    hovermode: many ? "closest" : "x unified",
    xaxis: {...xAxis(data, box), title: axisTitle(data.x_label, box), unifiedhovertitle: {text: data.overSteps ? "step %{x:,}" : "%{x:,.4~g}"}},
    yaxis: yAxis(data),
  });
}

async function drawLines(Plotly, view) {
  const first = !view.plot.classList.contains("js-plotly-plot");
  // what was zoomed into stays while it is the same chart
  await Plotly.react(view.plot, lineTraces(view.data, view.hidden), {...lineLayout(view.data, view.plot), uirevision: `${view.data.title} ${view.data.layer} ${view.revision}`}, PLOTLY);
  if (!first) return;
  view.plot.on("plotly_afterplot", () => placeMarker(view));
  view.plot.on("plotly_relayout", () => noteZoom(view));
  view.plot.on("plotly_hover", (event) => nameZero(view, event.points[0].pointIndex));
  view.plot.on("plotly_click", (event) => view.data.overSteps && chooseStep(view.data.x[event.points[0].pointIndex]));
}

// a log axis draws zero elsewhere, and the hover label would name that place
function nameZero({data, plot}, at) {
  const title = plot.querySelector(".hoverlayer .legendtitletext");
  if (title && data.x[at] !== data.drawn[at]) title.textContent = title.textContent.replace(/[\d.,]+/, numberText(data.x[at]));
}

function redrawLines(view) {
  loadPlotly().then((Plotly) => drawLines(Plotly, view)).catch(showTrouble);
}

function lineLegend(view) {
  const {data, hidden} = view, entries = lineEntries(data);
  const switches = {
    isOn: (entry) => entries[entry].places.some((at) => !hidden.has(at)),
    toggle(entry) {
      const on = !switches.isOn(entry);
      entries[entry].places.forEach((at) => (on ? hidden.delete(at) : hidden.add(at)));
      redrawLines(view);
    },
    only(entry) {
      const others = data.lines.map((_, at) => at).filter((at) => !entries[entry].places.includes(at));
      const alone = switches.isOn(entry) && others.every((at) => hidden.has(at));
      hidden.clear();
      if (!alone) others.forEach((at) => hidden.add(at));
      redrawLines(view);
    },
  };
  const fixed = data.reference.map((line, at) => ({label: line.label, colour: token("muted"), mark: "dash", dash: DASHES[at % DASHES.length]}));
  if (data.bands.length) fixed.push({label: data.band_label, mark: "band", colours: bandSwatches(data)});
  const parts = [data.lines.length > 1 && seriesLegend(entries, switches), fixed.length && seriesLegend(fixed)];
  view.legend.replaceChildren(...parts.filter(Boolean));
}

// what the legend lists, and the places of the lines behind each entry
function lineEntries(data) {
  const all = data.lines.map((line, at) => ({label: line.label, colour: lineColour(data, at), mark: "line", places: [at]}));
  if (!isCrowd(data)) return all;
  const others = all.filter((entry) => isQuiet(data, entry.label)), places = others.flatMap((entry) => entry.places);
  const crowd = {label: `other layers (${wholeNumber(others.length)})`, colour: token("none"), mark: "line", places};
  return [...all.filter((entry) => !isQuiet(data, entry.label)), crowd];
}

function bandSwatches(data) {
  const colours = data.bands.map((band) => bandColours(data, band));
  return colours.filter((each, at) => colours.findIndex((other) => other.fill === each.fill) === at).slice(0, GROUPS);
}

// moving one element costs nothing; asking Plotly for a new layout at each step would cost tens of milliseconds
function placeMarker(view) {
  const axis = view.plot._fullLayout?.xaxis;
  if (!axis || !view.data) return;
  const {data} = view, x = axis.d2p(data.place(state.step));
  const known = data.x.length && state.step >= data.x[0] && state.step <= data.x.at(-1);
  const inside = data.overSteps && known && x >= 0 && x <= axis._length;
  view.marker.hidden = !inside;
  view.marker.style.transform = `translateX(${axis._offset + x}px)`;
  const {t, h} = view.plot._fullLayout._size;
  Object.assign(view.marker.style, {top: `${t}px`, height: `${h}px`});
}

function linesTable(data) {
  const columns = [[data.x_label, data.x]], named = (label) => (isProbability(data.y_label) && !isProbability(label) ? `${label} (${data.y_label})` : label);
  data.lines.forEach((line) => columns.push([named(line.label), line.values]));
  data.bands.forEach((band) => columns.push([`${clip(band.label, 40)}: ${clip(data.band_label, 40)}, from`, band.low], ["to", band.high]));
  data.reference.forEach((line) => columns.push([line.label, line.values]));
  const rows = Array.from(data.x, (_, i) => columns.map(([, values]) => exact(values, i)));
  return {headings: columns.map(([heading]) => heading), rows, note: ""};
}
