// A canvas that fits its box and the screen's pixels, and the one tooltip of the page.

function makeCanvas(body, label) {
  const canvas = element("canvas", {tabindex: "0", role: "img", "aria-label": label});
  body.append(canvas);
  return canvas;
}

let pixelRatio = null; // of a picture under way; otherwise the screen's

// the canvas on which the card draws a chart, the same at every step: making one takes longer than drawing on it
const cardCanvases = new WeakMap();

function cardCanvas(data, attributes) {
  if (!cardCanvases.has(data)) cardCanvases.set(data, element("canvas", {role: "img"}));
  const canvas = cardCanvases.get(data);
  Object.entries(attributes).forEach(([name, value]) => canvas.setAttribute(name, value));
  return canvas;
}

// returns a context in CSS pixels, blank; opaque, as the browser then need not mix the picture with what lies behind it
function fitted(canvas, width, height) {
  const ratio = pixelRatio ?? (window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, {width: w, height: h});
  Object.assign(canvas.style, {width: `${width}px`, height: `${height}px`});
  const context = canvas.getContext("2d", {alpha: false});
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = token("card");
  context.fillRect(0, 0, width, height);
  return context;
}

const widths = new WeakMap(); // of boxes, as the observer tells them: to ask for one would lay out the page at every step

function widthOf(box) {
  return widths.get(box) || box.clientWidth;
}

function onResize(box, redraw) {
  new ResizeObserver(() => {
    const before = widths.get(box);
    widths.set(box, box.clientWidth);
    if (before && before !== widths.get(box)) requestAnimationFrame(redraw);
  }).observe(box);
}

// what the tooltip stands for, so that it can be asked again when the picture under a resting pointer has changed
let pointed = null;

// pick(x, y) -> {lines, neuron} or null
function onPointer(canvas, pick) {
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return pick(event.clientX - box.left, event.clientY - box.top);
  };
  canvas.addEventListener("pointermove", (event) => {
    pointed = () => {
      const found = at(event);
      canvas.style.cursor = found && found.neuron !== null ? "pointer" : "";
      if (found) showTip(event.clientX, event.clientY, found.lines);
      else hideTip();
    };
    pointed();
  });
  canvas.addEventListener("pointerleave", forgetTip);
  canvas.addEventListener("click", (event) => {
    const found = at(event);
    const layer = index.layers.includes(found?.layer) ? found.layer : state.layer;
    const again = found?.neuron === state.neuron && layer === state.layer;
    choose({layer, neuron: !found || again ? null : found.neuron});
  });
}

// arrow keys go through the numbers of neurons
function onArrows(canvas, numbers, layer) {
  canvas.addEventListener("keydown", (event) => {
    const turn = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key], all = numbers();
    if (!turn || !all.length) return;
    const own = layer() ?? state.layer, i = own === state.layer ? all.indexOf(state.neuron) : -1;
    choose({layer: own, neuron: all[i < 0 ? (turn > 0 ? 0 : all.length - 1) : (i + turn + all.length) % all.length]});
    event.preventDefault();
  });
}

function refreshTip() {
  if (pointed) pointed();
}

function forgetTip() {
  pointed = null;
  hideTip();
}

function showTip(x, y, lines) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(...lines.map((line) => element("div", {}, visible(line))));
  tip.hidden = false;
  const left = x + 16 + tip.offsetWidth > window.innerWidth ? x - 16 - tip.offsetWidth : x + 16;
  tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.min(y + 14, window.innerHeight - tip.offsetHeight - 4)}px)`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

// an empty picture is never without a word
function emptyText(context, width, height, text) {
  context.fillStyle = token("muted");
  context.font = `14px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  context.fillText(text, width / 2, height / 2);
}

// pixels of a colour image, one per value, to be stretched over a canvas
function colourImage(width, height, paint) {
  const image = Object.assign(document.createElement("canvas"), {width: Math.max(width, 1), height: Math.max(height, 1)});
  const context = image.getContext("2d");
  const data = context.createImageData(image.width, image.height);
  paint(new Uint32Array(data.data.buffer));
  context.putImageData(data, 0, 0);
  return image;
}
