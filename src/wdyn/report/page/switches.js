// Switches beside a line chart: log or linear axes where the values allow it, and the way back from a zoom.

function toolSwitch(words, title, click) {
  const button = element("button", {type: "button", "aria-pressed": "false", title}, words);
  button.addEventListener("click", click);
  return button;
}

function axisTools(view) {
  const flip = (axis) => () => {
    view.scales[axis] = view.data[`${axis}_scale`] === "log" ? "linear" : "log";
    decodeAgain(view);
    wholeAgain(view);
  };
  const whole = element("button", {type: "button", title: "Show all of both axes again"}, "Reset zoom");
  whole.addEventListener("click", () => wholeAgain(view));
  return {
    whole,
    x: toolSwitch("log x", "Logarithmic horizontal axis", flip("x")),
    y: toolSwitch("log y", "Logarithmic vertical axis", flip("y")),
  };
}

function showAxisTools(view) {
  const {tools, data} = view;
  tools.x.hidden = !spansDecades(data.x);
  tools.y.hidden = !allPositive(data);
  for (const axis of ["x", "y"]) tools[axis].setAttribute("aria-pressed", String(data[`${axis}_scale`] === "log"));
  tools.whole.hidden = !view.isZoomed;
}

function decodeAgain(view) {
  const {chart, scales} = view; // with the reader's own choice of scales
  const {y_label, title, y_scale} = (view.data = decodeLines({...chart, x_scale: scales.x ?? chart.x_scale, y_scale: scales.y ?? chart.y_scale}, view.store));
  view.axis.replaceChildren(axisWords(y_label, title, y_scale));
}

// step 0 has its place on a log axis, what lies below has none
function spansDecades(x) {
  const positive = x.find((value) => value > 0);
  return x.length > 2 && x[0] >= 0 && x.at(-1) >= 10 * positive;
}

function allPositive(data) {
  const values = drawnValues(data).filter(Number.isFinite);
  return values.length > 0 && values.every((value) => value > 0);
}

// what the reader zoomed is given up: a new revision makes Plotly take the ranges of the layout
function wholeAgain(view) {
  view.isZoomed = false;
  view.revision++;
  showAxisTools(view);
  redrawLines(view);
}

function noteZoom(view) {
  const {xaxis, yaxis} = view.plot._fullLayout, wanted = lineLayout(view.data, view.plot).xaxis.range ?? xaxis.range;
  const near = 1e-6 * Math.abs(wanted[1] - wanted[0]);
  view.isZoomed = !yaxis.autorange || wanted.some((end, i) => Math.abs(end - xaxis.range[i]) > near);
  showAxisTools(view);
}
