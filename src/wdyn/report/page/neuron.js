// The card of the picked neuron: what every view of its layer tells of it, at the step of the slider.
//
// A view may offer tells(neuron) -> [[label, value, more], ...]. `more` is optional: a `note` beside the value, a
// `picture`, a function that draws on a canvas, mostly the same, and returns it, and `wide` where that is no small line;
// `near`, [neuron, value] pairs.

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
  if (card.hidden || card.querySelector("button:active")) return; // a pressed button stays what it is until it is let go
  const told = card.small ? [] : toldOf(slots), shape = JSON.stringify([state.layer, state.neuron, card.small, told.map(shapeOf)]);
  if (shape !== card.shape) {
    const parts = card.small ? [cardHead(card, slots)] : [cardHead(card, slots), cardBody(told)];
    keepFocus(card, parts.map(({part}) => part));
    Object.assign(card, {shape, fill: (facts) => parts.forEach(({fill}) => fill(facts))});
  }
  card.fill(told);
}

// Parts are made once for facts of these kinds, and filled at each step: to make them anew would lay out the whole card.
function shapeOf([label, value, {near = [], picture, wide}]) {
  return [label, value === "", near.length, Boolean(picture), Boolean(wide)];
}

// words first, then lines through time, so that each row of facts is as low as it can be
function cardBody(told) {
  const made = told.map((fact) => (fact[2].wide ? widePart(fact) : factPart(fact)));
  const chosen = (test) => made.filter((_, k) => test(told[k][2])).map(({part}) => part);
  const facts = [...chosen(({wide, picture}) => !wide && !picture), ...chosen(({wide, picture}) => !wide && picture)];
  const nothing = "No picture of this page tells anything of single neurons of this layer.";
  const part = element("div", {class: "neuron-body", id: "neuron-body"}, ...chosen(({wide}) => wide),
    told.length ? element("dl", {class: "neuron-facts"}, ...facts) : element("p", {class: "empty"}, nothing));
  return {part, fill: (facts) => made.forEach(({fill}, k) => fill(facts[k]))};
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
  const when = element("span", {class: "when"}), where = element("p", {class: "of"}, nameElement(state.layer), when);
  const part = element("div", {class: "neuron-head"}, element("h2", {}, `Neuron ${state.neuron}`), where, fold, close);
  return {part, fill: () => setText(when, `step ${wholeNumber(state.step)}`)};
}

function factPart([label, value, {near = [], picture}]) {
  const name = nameElement(""), aside = element("span", {class: "aside"}), list = nearList(near), drawn = picturePart(picture);
  const words = element("dd", {}, value === "" ? "" : element("span", {class: "value"}, name), list.part, aside, drawn.part);
  return {part: element("div", {class: near.length ? "near" : ""}, element("dt", {}, nameElement(label)), words), fill: (fact) => {
    fillWords(name, aside, fact);
    list.fill(fact[2].near);
    drawn.fill(fact[2].picture);
  }};
}

function widePart([label, , {picture}]) {
  const name = nameElement(""), aside = element("span", {class: "aside"}), drawn = picturePart(picture);
  return {part: element("figure", {class: "neuron-picture", title: visible(label)}, drawn.part, element("figcaption", {}, name, aside)), fill: (fact) => {
    fillWords(name, aside, fact);
    drawn.fill(fact[2].picture);
  }};
}

function fillWords(name, aside, [, value, {note}]) {
  setText(name, visible(value));
  name.title = name.textContent;
  setText(aside, visible(note ?? ""));
}

// mostly drawn on the canvas that stands there; a view that has decoded its chart anew draws on another
function picturePart(picture) {
  let at = picture ? picture() : "";
  return {part: at, fill: (draw) => {
    const now = draw ? draw() : at;
    if (now === at) return;
    at.replaceWith(now);
    at = now;
  }};
}

function nearList(near) {
  const buttons = near.map(() => element("button", {type: "button"}, element("span"), element("span", {class: "aside"})));
  buttons.forEach((button) => button.addEventListener("click", () => choose({neuron: Number(button.firstChild.textContent)})));
  const part = buttons.length ? element("ol", {class: "near-list"}, ...buttons.map((button) => element("li", {}, button))) : "";
  return {part, fill: (now = []) => now.forEach(([neuron, value], k) => {
    buttons[k].setAttribute("aria-label", `Pick neuron ${neuron}, ${value}`);
    setText(buttons[k].firstChild, String(neuron));
    setText(buttons[k].lastChild, value);
  })};
}

// whoever is on a button of the card stays there when it is made anew
function keepFocus(card, parts) {
  const at = [...card.querySelectorAll("button")].indexOf(document.activeElement);
  card.replaceChildren(...parts);
  const buttons = card.querySelectorAll("button");
  if (at >= 0) buttons[Math.min(at, buttons.length - 1)].focus({preventScroll: true});
}
