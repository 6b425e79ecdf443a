// Legends as ordinary elements, so that names stay text and keys reach them.

// items: {label, colour, mark: "line" | "dash" | "band" | "dot" | "ring", }; switches {isOn, toggle, only} make them buttons
function seriesLegend(items, switches = null) {
  const buttons = [];
  const list = element("ul", {class: "legend"}, ...items.map((item, at) => {
    const swatch = swatchOf(item);
    if (!switches) return element("li", {}, swatch, nameElement(item.label));
    const button = element("button", {type: "button", title: "Hide or show; with Shift, or twice: only this one"}, swatch, nameElement(item.label));
    button.addEventListener("click", (event) => (event.shiftKey || event.detail === 2 ? switches.only(at) : switches.toggle(at)));
    buttons.push(button);
    return element("li", {}, button);
  }));
  const show = () => buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(switches.isOn(at))));
  list.addEventListener("click", show);
  show();
  return list;
}

function swatchOf({mark, colour, colours, dash}) {
  if (mark === "dash") return dashSwatch(colour, dash);
  const swatch = element("span", {class: `swatch ${mark}`, "aria-hidden": "true"});
  swatch.style.color = colour;
  if (mark === "band") swatch.append(...colours.map(bandPart));
  return swatch;
}

// as much of a band as is needed to know it: its filling and its edges
function bandPart({fill, edge}) {
  const part = element("i");
  Object.assign(part.style, {background: fill, borderColor: edge});
  return part;
}

function dashSwatch(colour, dash) {
  const make = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  };
  const swatch = make("svg", {class: "swatch dash", width: 34, height: 8, "aria-hidden": "true"});
  swatch.append(make("line", {x1: 0, x2: 34, y1: 4, y2: 4, stroke: colour, "stroke-width": 1.75, "stroke-dasharray": dash}));
  return swatch;
}

function colourLegend(chart, diverging) {
  const bar = element("span", {class: "ramp", "aria-hidden": "true"});
  bar.style.background = `linear-gradient(to right, ${stopsOf(diverging).join(", ")})`;
  const middle = (chart.low + chart.high) / 2;
  const ticks = [chart.low, middle, chart.high].map((value) => element("span", {}, numberText(Number(value.toPrecision(3)))));
  return element("div", {class: "colours"}, element("span", {class: "label"}, visible(chart.value_label)),
    element("div", {class: "scale"}, bar, element("div", {class: "ticks"}, ...ticks)));
}
