// What stands under a graph: cutoff, charge, link distance, forces, colour, reset.

// changed(what) is told "cutoff", "forces", "colour" or "reset"
function graphControls(view, changed) {
  const {settings} = view;
  const slider = (key, what, {label, max, read}) => rangeControl({label, max, read, value: () => settings[key], choose(value) {
    settings[key] = value;
    changed(what);
  }});
  const cutoff = slider("place", "cutoff", {label: "Cutoff", max: PLACES, read: (place) => cutoffWords(view.data, place)});
  const charge = slider("charge", "forces", {label: "Charge", max: 120, read: String});
  const distance = slider("distance", "forces", {label: "Link distance", max: 120, read: String});
  const forces = element("input", {type: "checkbox", role: "switch"}), colour = element("select", {"aria-label": "Colour"});
  forces.addEventListener("change", () => {
    settings.forces = forces.checked;
    changed("forces");
  });
  colour.addEventListener("change", () => {
    settings.colour = colour.selectedIndex;
    changed("colour");
  });
  const reset = element("button", {type: "button"}, "Reset");
  reset.addEventListener("click", () => changed("reset"));
  const row = element("div", {class: "row"}, element("label", {class: "pick colour"}, "Colour", colour), element("label", {class: "pick"}, forces, "Forces"), reset);
  return {
    box: element("div", {class: "graph-controls"}, cutoff.box, charge.box, distance.box, row),
    show() {
      [cutoff, charge, distance].forEach((each) => each.show());
      cutoff.input.disabled = !view.data.from.length;
      forces.checked = settings.forces;
      colour.replaceChildren(...view.choices.map((choice) => element("option", {}, flatText(choice.label, 60))));
      colour.selectedIndex = settings.colour;
      colour.parentElement.hidden = view.choices.length < 2;
    },
  };
}

function rangeControl({label, max, read, value, choose}) {
  const input = element("input", {type: "range", min: "0", max: String(max), step: "1", "aria-label": label}), told = element("span", {class: "told-value"});
  const show = () => {
    input.value = String(value());
    told.textContent = read(value());
    input.setAttribute("aria-valuetext", told.textContent);
  };
  input.addEventListener("input", () => {
    choose(Number(input.value));
    show();
  });
  return {box: element("label", {class: "range"}, element("span", {}, label), told, input), input, show};
}

// a weight means little; the cosine behind it can be compared
function cutoffWords(data, place) {
  if (!data.from.length) return "no edge at any step";
  return `${weightOf(data, place).toFixed(2)}, an inner product of ${cosineText(data, place)}`;
}
