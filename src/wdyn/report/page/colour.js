// Colours: tokens live in style.css; maps from numbers to colours live here.

const GROUPS = 8;
const MAPS = {
  sequential: ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"],
  divergingLight: ["#1f4e9c", "#4f8fce", "#a9cfea", "#f7f7f5", "#f6bfa0", "#d9644c", "#9c1127"],
  divergingDark: ["#9cd0ff", "#4f9be8", "#2b5688", "#1c2128", "#8a3a31", "#e5694e", "#ffc0a3"],
};

let probe = null;
const tokens = new Map();

// the colour a token has now, as rgb(...); canvas and Plotly cannot read light-dark()
function token(name) {
  if (!tokens.has(name)) {
    probe ??= document.body.appendChild(element("i", {hidden: "", class: "probe"}));
    probe.style.color = `var(--${name})`;
    tokens.set(name, getComputedStyle(probe).color);
  }
  return tokens.get(name);
}

function forgetTokens() {
  tokens.clear();
}

function groupColour(group) {
  return group < 0 ? token("none") : token(`c${group % GROUPS}`);
}

// a line's colour: its own while there are few, by depth when there are many
function seriesColour(at, count) {
  if (count <= GROUPS) return token(`c${at}`);
  const [from, to] = state.dark ? [0.38, 1] : [0, 0.78]; // the ends that stand out from the card
  const [r, g, b] = mapColour(MAPS.sequential, from + ((to - from) * at) / (count - 1));
  return `rgb(${r},${g},${b})`;
}

function withAlpha(colour, alpha) {
  return colour.replace(/rgba?\(([^,]+),([^,]+),([^,)]+).*/, `rgba($1,$2,$3,${alpha})`);
}

function stopsOf(diverging) {
  if (!diverging) return MAPS.sequential;
  return state.dark ? MAPS.divergingDark : MAPS.divergingLight;
}

function mapColour(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const at = Math.min(Math.floor(place), stops.length - 2);
  const [from, to] = [hex(stops[at]), hex(stops[at + 1])];
  return from.map((value, i) => Math.round(value + (to[i] - value) * (place - at)));
}

function hex(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

// one colour per code, ready for ImageData; the largest code is "no value"
function colourTable(missing, diverging) {
  const stops = stopsOf(diverging), table = new Uint32Array(missing + 1);
  for (let code = 0; code < missing; code++) table[code] = packed(mapColour(stops, code / (missing - 1)));
  table[missing] = packedColour(token("blank"));
  return table;
}

function packedColour(colour) {
  return packed(colour.match(/\d+/g).slice(0, 3).map(Number));
}

function packed([r, g, b]) {
  return (255 << 24) | (b << 16) | (g << 8) | r;
}
