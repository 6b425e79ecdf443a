// Names and numbers as text. Nothing from a run is ever parsed as markup.

const TABLE_ROWS = 500;
const LETTER = 6.5; // pixels of an average letter of 12 px

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// a name of any length and writing direction, which cannot disturb the text around it
function nameElement(text) {
  return element("bdi", {class: "name", title: visible(text)}, visible(text));
}

// nothing is laid out anew where the words stay
function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// what would reorder or hide the letters around it is written as its number
function visible(text) {
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu;
  return String(text).replace(hidden, (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
}

function clip(text, length) {
  const letters = [...String(text)];
  return letters.length <= length ? letters.join("") : letters.slice(0, length - 1).join("") + "…";
}

function flatText(text, length = 40) {
  return clip(visible(text), length);
}

// Plotly knows markup of its own
function plotText(text, length = 40) {
  const entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}; // $...$ would be read as TeX
  return flatText(text, length).replace(/[&<>$]/g, (letter) => entities[letter]);
}

const grouped = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});

function wholeNumber(value) {
  return grouped.format(Math.round(value)).replace("-", "−");
}

function numberText(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size < 1e15 && (Number.isInteger(value) || size >= 1000)) return wholeNumber(value);
  return String(Number(value.toPrecision(4))).replace(/^-/, "−").replace("e+", "e");
}

// a probability below the least number there is has become zero, which no probability here can be
function isProbability(label) {
  return /\bprobability\b|\bchance of\b/i.test(label);
}

function valueText(value, label) {
  return value === 0 && isProbability(label) ? "< 1e-300" : numberText(value);
}

function members(list) {
  const start = list.slice(0, 4).join(", ") + (list.length > 4 ? ` and ${list.length - 4} more` : "");
  return list.length === 1 ? `neuron ${start}` : `neurons ${start}`;
}
