// Bars, one value per category in several series.

function barsView(body, store) {
  const axis = element("p", {class: "y-label"}), box = element("div", {class: "plot"}), plot = element("div");
  const legend = element("div", {class: "legend-row"});
  const empty = element("p", {class: "empty", hidden: ""}, "There is no value to draw.");
  box.append(plot);
  body.append(legend, axis, empty, box);
  const view = {plot, data: null};

  return {
    show(chart) {
      view.data = {...chart, bars: chart.bars.map((bar) => ({...bar, values: readBlock(store, bar.values)}))};
      axis.replaceChildren(axisWords(chart.y_label, chart.title, "linear"));
      empty.hidden = view.data.bars.some((bar) => bar.values.some(Number.isFinite));
    },
    async render() {
      const {data} = view, colour = (at) => seriesColour(at, data.bars.length);
      legend.replaceChildren(...(data.bars.length < 2 ? [] : [seriesLegend(data.bars.map((bar, at) => ({label: bar.label, colour: colour(at), mark: "dot"})))]));
      const Plotly = await loadPlotly(), places = data.categories.map((_, i) => i);
      const traces = data.bars.map((bar, at) => ({
        type: "bar", x: places, y: Array.from(bar.values), name: plotText(bar.label), marker: {color: colour(at)},
        hovertext: Array.from(bar.values, numberText), hovertemplate: "%{hovertext}", textposition: "none",
      }));
      const few = places.length <= 40; // categories may share a clipped name, so places carry them
      const layout = plotLayout({hovermode: "x unified", bargap: 0.25, yaxis: {rangemode: "tozero"}, xaxis: {
        title: axisTitle(data.x_label, plot), tickvals: few ? places : undefined, ticktext: few ? data.categories.map((name) => plotText(name, 16)) : undefined,
      }});
      await Plotly.react(plot, traces, layout, {displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: ""});
    },
    update() {},
    table: () => ({
      headings: [view.data.x_label, ...view.data.bars.map((bar) => bar.label)],
      rows: view.data.categories.map((name, i) => [name, ...view.data.bars.map((bar) => bar.values[i])]), note: "",
    }),
  };
}
