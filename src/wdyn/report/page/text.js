// Names and numbers as text. Nothing from a run is ever parsed as markup.

const TABLE_ROWS = 500;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// a name of any length and writing direction, which cannot disturb the text around it
function nameElement(text) {
  return element("bdi", {class: "name", title: String(text)}, String(text));
}

function clip(text, length) {
  const letters = [...String(text)];
  return letters.length <= length ? letters.join("") : letters.slice(0, length - 1).join("") + "…";
}

// Plotly and canvas know no <bdi>: direction controls become visible marks there, and Plotly's own markup is escaped
function flatText(text, length = 40) {
  return clip(text, length).replace(/[\u0000-\u001f\u007f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "�");
}

function plotText(text, length = 40) {
  const entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}; // $...$ would be read as TeX
  return flatText(text, length).replace(/[&<>$]/g, (letter) => entities[letter]);
}

function wholeNumber(value) {
  return Math.round(value).toLocaleString("en-US");
}

function numberText(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value)) return value.toLocaleString("en-US").replace("-", "−");
  return String(Number(value.toPrecision(5))).replace("-", "−");
}

function members(list) {
  const start = list.slice(0, 4).join(", ") + (list.length > 4 ? ` and ${list.length - 4} more` : "");
  return list.length === 1 ? `neuron ${start}` : `neurons ${start}`;
}
