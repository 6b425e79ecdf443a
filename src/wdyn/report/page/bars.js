// Bars, one value per category in several series.

function barsView(body, store) {
  const axis = element("p", {class: "y-label"}), box = element("div", {class: "plot"}), plot = element("div");
  const legend = element("div", {class: "legend-row"});
  const empty = element("p", {class: "empty", hidden: ""}, "There is no value to draw.");
  box.append(plot);
  body.append(legend, axis, empty, box);
  const view = {plot, data: null};
  fitPlot(plot);

  return {
    show(chart) {
      view.data = {...chart, bars: chart.bars.map((bar) => ({...bar, values: readBlock(store, bar.values)}))};
      axis.replaceChildren(axisWords(chart.y_label, chart.title, "linear"));
      empty.hidden = view.data.bars.some((bar) => bar.values.some(Number.isFinite));
      box.hidden = !empty.hidden;
    },
    async render() {
      const {data} = view;
      legend.replaceChildren(...(data.bars.length < 2 ? [] : [seriesLegend(data.bars.map((bar, at) => ({label: bar.label, colour: seriesColour(at, data.bars.length), mark: "dot"})))]));
      if (box.hidden) return;
      const Plotly = await loadPlotly();
      await Plotly.react(plot, barTraces(data), barLayout(data, plot), PLOTLY);
    },
    update() {},
    table: () => barsTable(view.data),
    csv: () => barsTable(view.data),
    picture: (format) => plotPicture(view.data, {format, box: plot, traces: barTraces(view.data), layout: barLayout(view.data, plot)}),
  };
}

function barTraces(data) {
  return data.bars.map((bar, at) => ({
    type: "bar", x: data.categories.map((_, i) => i), y: Array.from(bar.values), name: plotText(bar.label), marker: {color: seriesColour(at, data.bars.length)},
    hovertext: Array.from(bar.values, numberText), hovertemplate: "%{hovertext}", textposition: "none",
  }));
}

function barLayout(data, box) {
  const few = data.categories.length <= 40; // categories may share a clipped name, so places carry them
  const ticks = few ? {tickvals: data.categories.map((_, i) => i), ticktext: data.categories.map((name) => plotText(name, 16))} : {};
  return plotLayout({hovermode: "x unified", bargap: 0.25, yaxis: {rangemode: "tozero"}, xaxis: {title: axisTitle(data.x_label, box), zeroline: false, ...ticks}});
}

function barsTable(data) {
  const rows = data.categories.map((name, i) => [name, ...data.bars.map((bar) => exact(bar.values, i))]);
  return {headings: [data.x_label, ...data.bars.map((bar) => bar.label)], rows, note: ""};
}
