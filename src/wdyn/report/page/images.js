// Weights as small images, one per neuron, all on one scale: a sheet of all, and one enlarged on the card.

const SHEET = {gap: 5, height: 460, largest: 96};
const ENLARGED = {width: 180, height: 180}; // most pixels on the card

function imagesView(body, store) {
  const canvas = makeCanvas(body, "");
  const legend = element("div"), where = element("p", {class: "where"}), caption = element("p", {class: "note"});
  body.append(legend, where, caption);
  const view = {canvas, data: null, sheet: null, at: 0};
  const draw = () => view.data && drawSheet(view);

  onResize(body, draw);
  onPointer(canvas, (x, y) => pickPixel(view, x, y));
  canvas.addEventListener("keydown", (event) => moveOnSheet(event, view));

  return {
    show(chart) {
      view.data = decodeImages(chart, store);
      canvas.setAttribute("aria-label", `${visible(chart.title)}: ${wholeNumber(chart.neurons.length)} neurons. Arrow keys select one, Escape none.`);
      caption.textContent = visible(chart.caption);
      this.recolour();
    },
    recolour() {
      view.data.colours = shadeColours(view.data);
      view.tiles = null;
      legend.replaceChildren(colourLegend({...view.data, ...view.data.common}, true));
    },
    update() {
      view.at = nearest(view.data.steps, state.step);
      where.textContent = `Shown: step ${wholeNumber(view.data.steps[view.at])}. ${channelWords(view.data)}`;
      drawSheet(view);
    },
    marks: (neuron) => view.data.neurons.includes(neuron),
    tells: (neuron) => imageTells(view.data, neuron),
    table: () => imagesTable(view),
    csv: () => imagesTable(view),
    csvOfStep: true,
    step: () => view.data.steps[view.at],
  };
}

function decodeImages(chart, store) {
  const [tiles, height, width] = chart.size;
  return {...chart, tiles, height, width, pixels: tiles * height * width, codes: readBlock(store, chart.codes)};
}

// one colour per shade, and the last of 256 for "no value"; beside other layers on the scale of all
function shadeColours({shades, low, high, common = {low, high}}) {
  const table = colourTable(255, true), share = (code) => (low + ((high - low) * Math.min(code, shades - 1)) / (shades - 1) - common.low) / (common.high - common.low || 1);
  return Array.from({length: 256}, (_, code) => (code === 255 ? table[255] : table[Math.round(share(code) * 254)]));
}

function channelWords({tiles, channels, channel_count: count}) {
  if (count === 1) return "";
  if (tiles === count) return `Side by side: channels 0 to ${count - 1}.`;
  return `Side by side: the ${tiles} strongest of ${wholeNumber(count)} channels of each neuron, at the end.`;
}

// place of a pixel in the stored values
function codeAt(data, {t, i, tile, row, column}) {
  return data.codes[((t * data.neurons.length + i) * data.tiles + tile) * data.height * data.width + row * data.width + column];
}

function shadeValue({low, high, shades}, code) {
  return code === 255 ? NaN : Number((low + (code * (high - low)) / (shades - 1)).toPrecision(3)) || 0;
}

// neurons at one step in rows of so many, each with its tiles side by side and a pixel of nothing between
function neuronImages(data, t, {neurons, across}) {
  const own = tilesWidth(data), width = own * across, {codes, colours} = data;
  return colourImage(width, data.height * Math.ceil(neurons.length / across), (pixels) => neurons.forEach((i, k) => {
    const corner = Math.floor(k / across) * data.height * width + (k % across) * own;
    let code = (t * data.neurons.length + i) * data.pixels;
    for (let tile = 0; tile < data.tiles; tile++) {
      for (let row = 0; row < data.height; row++) {
        const first = corner + row * width + tile * (data.width + 1);
        for (let column = 0; column < data.width; column++) pixels[first + column] = colours[codes[code++]];
      }
    }
  }));
}

// one picture of all is painted faster than one of each; as good as square, since a browser bounds either side
function acrossOf({neurons}) {
  return Math.ceil(Math.sqrt(neurons.length));
}

function tilesWidth({tiles, width}) {
  return tiles * (width + 1) - 1;
}

// as large as the sheet's height allows, but never below one pixel for one
function sheetPlan(data, across) {
  const {neurons, tiles, height} = data, [w, h] = [tilesWidth(data), height];
  for (let scale = Math.max(Math.floor(SHEET.largest / h), 1); ; scale = scale > 2 ? Math.floor(scale) - 1 : scale - 0.25) {
    const gap = tiles > 1 ? Math.max(SHEET.gap, 2 * scale) : SHEET.gap; // wider than between the channels of one neuron
    const columns = Math.max(Math.floor((across + gap) / (w * scale + gap)), 1), rows = Math.ceil(neurons.length / columns);
    const total = rows * (h * scale + gap) - gap;
    if ((total <= SHEET.height && w * scale <= across) || scale <= 1) return {scale, gap, columns, w: w * scale, h: h * scale, height: Math.max(total, h * scale)};
  }
}

function drawSheet(view) {
  const {data, canvas, at} = view, across = widthOf(canvas.parentElement);
  const plan = (view.sheet = sheetPlan(data, across));
  const context = fitted(canvas, across, plan.height + 4);
  if (!view.tiles || view.tiles.at !== at) view.tiles = {at, image: neuronImages(data, at, {neurons: [...data.neurons.keys()], across: acrossOf(data)})};
  context.imageSmoothingEnabled = false; // neighbours must not mix
  const {image} = view.tiles, columns = acrossOf(data), wide = tilesWidth(data), high = data.height;
  data.neurons.forEach((_, i) => context.drawImage(image, (i % columns) * wide, Math.floor(i / columns) * high, wide, high, ...placeOnSheet(plan, i), plan.w, plan.h));
  const chosen = data.neurons.indexOf(neuronIn(data));
  if (chosen < 0) return;
  const [x, y] = placeOnSheet(plan, chosen);
  context.strokeStyle = token("ink");
  context.lineWidth = 2;
  context.strokeRect(x - 1.5, y - 1.5, plan.w + 3, plan.h + 3);
}

function placeOnSheet(plan, i) {
  return [2 + (i % plan.columns) * (plan.w + plan.gap), 2 + Math.floor(i / plan.columns) * (plan.h + plan.gap)];
}

function pickPixel({data, sheet, at}, x, y) {
  if (!data || !sheet) return null;
  const column = Math.floor((x - 2) / (sheet.w + sheet.gap)), line = Math.floor((y - 2) / (sheet.h + sheet.gap)), i = line * sheet.columns + column;
  if (column < 0 || line < 0 || column >= sheet.columns || i >= data.neurons.length) return null;
  const [left, top] = placeOnSheet(sheet, i), across = Math.floor((x - left) / sheet.scale), row = Math.floor((y - top) / sheet.scale);
  const tile = Math.floor(across / (data.width + 1)), place = {t: at, i, tile, row, column: across % (data.width + 1)};
  const lines = [`neuron ${data.neurons[i]}`];
  if (row < data.height && tile < data.tiles && place.column < data.width) lines.push(pixelWords(data, place));
  return {neuron: data.neurons[i], layer: data.layer, lines};
}

function pixelWords(data, place) {
  const channel = data.channel_count > 1 ? `channel ${data.channels[place.i][place.tile]}, ` : "";
  const code = codeAt(data, place), beyond = code === 0 || code === data.shades - 1 ? " or beyond" : "";
  return `${channel}row ${place.row}, column ${place.column}: ${clip(data.value_label, 40)} ${numberText(shadeValue(data, code))}${beyond}`;
}

function moveOnSheet(event, {data, sheet}) {
  const turn = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: sheet?.columns, ArrowUp: -sheet?.columns}[event.key], count = data?.neurons.length;
  if (!turn || !count) return;
  const i = data.neurons.indexOf(neuronIn(data)), next = i < 0 ? (turn > 0 ? 0 : count - 1) : i + turn;
  if (next >= 0 && next < count) choose({layer: data.layer, neuron: data.neurons[next]});
  event.preventDefault();
}

function imageTells(data, neuron) {
  const i = data.neurons.indexOf(neuron), t = nearest(data.steps, state.step);
  if (i < 0) return [[data.value_label, "", {note: `not among the ${wholeNumber(data.neurons.length)} neurons pictured`}]];
  const channels = data.channel_count > data.tiles ? `channels ${data.channels[i].join(", ")}` : "";
  return [[data.value_label, `Weights at step ${wholeNumber(data.steps[t])}`, {wide: true, note: channels, picture: () => enlarged(data, t, i)}]];
}

function enlarged(data, t, i) {
  const canvas = cardCanvas(data, {"aria-label": `Weights of neuron ${data.neurons[i]} as an image of ${data.height} by ${data.width} pixels`});
  const drawn = `${t} ${i} ${state.dark}`;
  if (data.enlarged === drawn) return canvas;
  data.enlarged = drawn;
  const image = neuronImages(data, t, {neurons: [i], across: 1}), scale = Math.min(ENLARGED.width / image.width, ENLARGED.height / image.height);
  const context = fitted(canvas, Math.round(image.width * scale), Math.round(image.height * scale));
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, Math.round(image.width * scale), Math.round(image.height * scale));
  return canvas;
}

function imagesTable({data, at}) {
  const rows = Array.from(data.neurons, (neuron, i) => {
    const values = Array.from(data.codes.subarray((at * data.neurons.length + i) * data.pixels, (at * data.neurons.length + i + 1) * data.pixels), (code) => shadeValue(data, code)).filter(Number.isFinite);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return [neuron, ...(values.length ? [extremes(values)[0], mean, extremes(values)[1]] : [null, null, null])];
  });
  return {headings: ["neuron", `lowest ${data.value_label}`, "mean", "highest"], rows,
    note: `At step ${wholeNumber(data.steps[at])}, as drawn, in ${data.shades} shades.`};
}
