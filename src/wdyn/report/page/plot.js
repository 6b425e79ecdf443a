// Plotly, which draws lines and bars: how it starts, what it may do, its look, and its pictures as files.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
const PLOTLY = {displayModeBar: false, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", scrollZoom: false};
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

// as wide as its box whenever that is laid out: Plotly by itself hears of the window alone, also while its section is skipped
function fitPlot(plot) {
  const isFit = () => !plot.clientWidth || !plot._fullLayout || Math.abs(plot._fullLayout.width - plot.clientWidth) < 1;
  new ResizeObserver(() => isFit() || requestAnimationFrame(() => isFit() || window.Plotly.Plots.resize(plot))).observe(plot);
}

function plotLayout({xaxis, yaxis, ...rest}) {
  const axis = {gridcolor: token("grid"), linecolor: token("line"), zerolinecolor: token("line"), tickcolor: token("line"), tickfont: {color: token("muted")}, automargin: true, separatethousands: true, exponentformat: "e", minexponent: 6};
  return {
    height: 290, margin: {l: 44, r: 14, t: 8, b: 40}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: FONT, size: 12, color: token("muted")}, showlegend: false,
    hoverlabel: {bgcolor: token("card"), bordercolor: token("line"), font: {color: token("ink"), size: 12}},
    xaxis: {...axis, showgrid: false, ticks: "outside", spikecolor: token("muted"), spikethickness: 1, spikedash: "dot", ...xaxis},
    yaxis: {...axis, nticks: 6, ...yaxis}, ...rest,
  };
}

// a picture that stands alone: with its title, the words of its axis and a legend
async function plotPicture(data, {format, box, traces, layout}) {
  const Plotly = await loadPlotly(), width = Math.max(box.clientWidth, 480);
  const named = traces.filter((trace) => trace.showlegend !== false), letters = Math.floor(width / 8);
  const rows = Math.ceil(named.reduce((sum, trace) => sum + 60 + trace.name.length * LETTER, 0) / (width - 60));
  const legend = {orientation: "h", x: 0, xanchor: "left", yref: "container", y: 0.01, yanchor: "bottom", font: {color: token("ink")}};
  const alone = {
    ...layout, width, height: 370 + 21 * rows, margin: {l: 56, r: 18, t: 48, b: 50 + 21 * rows}, paper_bgcolor: token("card"), plot_bgcolor: token("card"), showlegend: named.length > 1, legend,
    title: {text: `<b>${plotText(data.title, letters)}</b>${data.layer === null ? "" : `<br>${plotText(data.layer, letters)}`}`, x: 0.02, xanchor: "left", font: {size: 15, color: token("ink")}},
    yaxis: {...layout.yaxis, title: {text: plotText(data.y_label, 45), standoff: 6}},
  };
  const url = await Plotly.toImage({data: traces, layout: alone}, {format, width, height: alone.height, scale: format === "png" ? PICTURE.scale : 1});
  return blobOf(url);
}

// a data: URL may not be fetched here, but it can be read
function blobOf(url) {
  const [head, body] = [url.slice(5, url.indexOf(",")), url.slice(url.indexOf(",") + 1)];
  const [type] = head.split(";");
  return new Blob([head.endsWith("base64") ? fromBase64(body) : decodeURIComponent(body)], {type});
}
