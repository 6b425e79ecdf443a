// Legends as ordinary elements, so that names stay text and keys reach them.

// items: {label, colour, mark: "line" | "dash" | "dot" | "ring"}; toggle(at, on) makes them switches
function seriesLegend(items, toggle = null) {
  return element("ul", {class: "legend"}, ...items.map((item, at) => {
    const swatch = element("span", {class: `swatch ${item.mark}`, "aria-hidden": "true"});
    swatch.style.color = item.colour;
    if (!toggle) return element("li", {}, swatch, nameElement(item.label));
    const button = element("button", {type: "button", "aria-pressed": "true"}, swatch, nameElement(item.label));
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      toggle(at, on);
    });
    return element("li", {}, button);
  }));
}

function colourLegend(chart, diverging) {
  const bar = element("span", {class: "ramp", "aria-hidden": "true"});
  bar.style.background = `linear-gradient(to right, ${stopsOf(diverging).join(", ")})`;
  const middle = (chart.low + chart.high) / 2;
  const ticks = [chart.low, middle, chart.high].map((value) => element("span", {}, numberText(Number(value.toPrecision(3)))));
  return element("div", {class: "colours"}, element("span", {class: "label"}, chart.value_label),
    element("div", {class: "scale"}, bar, element("div", {class: "ticks"}, ...ticks)));
}
