// The card of the picked neuron: what every view of its layer tells of it, at the step of the slider.
//
// A view may offer tells(neuron) -> [[label, value, more], ...]. `more` is optional: a `note` beside the value, a
// `picture`, a function that makes an element, and `wide` where that is no small line; `near`, [neuron, value] pairs.

function makeCard(again) {
  const card = element("aside", {id: "neuron-card", class: "neuron-card", "aria-label": "Picked neuron", hidden: ""});
  card.small = false;
  document.querySelector(".bar").after(card); // next to the field that picks a neuron, for whoever moves by keys
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(again));
  return card;
}

function showCard(card, slots) {
  card.hidden = state.neuron === null;
  document.documentElement.classList.toggle("has-card", !card.hidden && !card.small); // :has() would restyle the whole page at each step
  if (card.hidden || card.querySelector("button:active")) return; // a button that is made anew while it is pressed is never clicked
  keepFocus(card, card.small ? [cardHead(card, slots)] : [cardHead(card, slots), cardBody(toldOf(slots))]);
}

// words first, then lines through time, so that each row of facts is as low as it can be
function cardBody(told) {
  const wide = told.filter(([, , more]) => more.wide), rest = told.filter(([, , more]) => !more.wide);
  const facts = [...rest.filter(([, , more]) => !more.picture), ...rest.filter(([, , more]) => more.picture)];
  const nothing = "No picture of this page tells anything of single neurons of this layer.";
  return element("div", {class: "neuron-body", id: "neuron-body"}, ...wide.map(([label, value, more]) => widePart(label, value, more)),
    told.length ? element("dl", {class: "neuron-facts"}, ...facts.map(factPart)) : element("p", {class: "empty"}, nothing));
}

// the same fact of two views stands once
function toldOf(slots) {
  const known = new Set();
  const told = slots.filter((made) => made.chart && made.view.tells && made.chart.layer === state.layer).flatMap((made) => toldView(made).tells(state.neuron));
  return told.map(([label, value, more = {}]) => [label, value, more]).filter(([label, value, more]) => {
    const key = JSON.stringify([label, value]), fresh = !known.has(key);
    known.add(key);
    return fresh || more.picture || more.near;
  });
}

function cardHead(card, slots) {
  const fold = element("button", {type: "button", class: "fold", "aria-expanded": String(!card.small), "aria-label": "What is known of the neuron"}, card.small ? "+" : "−");
  fold.addEventListener("click", () => {
    card.small = !card.small;
    setTimeout(() => showCard(card, slots)); // when the button is no longer pressed
  });
  const close = element("button", {type: "button", class: "close", "aria-label": "Close the card, Escape does so too"}, "×");
  close.addEventListener("click", () => {
    clearNeuron();
    document.getElementById("neuron").focus({preventScroll: true});
  });
  const where = element("p", {class: "of"}, nameElement(state.layer), element("span", {class: "when"}, `step ${wholeNumber(index.steps[state.at])}`));
  return element("div", {class: "neuron-head"}, element("h2", {}, `Neuron ${state.neuron}`), where, fold, close);
}

function factPart([label, value, more]) {
  const words = element("dd", {}, value === "" ? "" : element("span", {class: "value"}, nameElement(value)));
  if (more.near) words.append(nearList(more.near));
  if (more.note) words.append(element("span", {class: "aside"}, visible(more.note)));
  if (more.picture) words.append(more.picture());
  return element("div", {class: more.near ? "near" : ""}, element("dt", {}, nameElement(label)), words);
}

function widePart(label, value, more) {
  const caption = element("figcaption", {}, nameElement(value), ...(more.note ? [element("span", {class: "aside"}, visible(more.note))] : []));
  return element("figure", {class: "neuron-picture", title: visible(label)}, more.picture(), caption);
}

function nearList(near) {
  return element("ol", {class: "near-list"}, ...near.map(([neuron, value]) => {
    const button = element("button", {type: "button", "aria-label": `Pick neuron ${neuron}, ${value}`}, element("span", {}, String(neuron)), element("span", {class: "aside"}, value));
    button.addEventListener("click", () => choose({neuron}));
    return element("li", {}, button);
  }));
}

// the card is made anew at each step; whoever is on one of its buttons stays there
function keepFocus(card, parts) {
  const at = [...card.querySelectorAll("button")].indexOf(document.activeElement);
  card.replaceChildren(...parts);
  const buttons = card.querySelectorAll("button");
  if (at >= 0) buttons[Math.min(at, buttons.length - 1)].focus({preventScroll: true});
}
