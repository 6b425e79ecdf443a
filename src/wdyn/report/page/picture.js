// A canvas as a picture that stands alone: its title above, its legend and words below, on the page's colours.

const PICTURE = {margin: 20, line: 19, scale: 2, font: 13};

async function pngOf(made) {
  if (made.view.picture) return made.view.picture("png");
  const canvas = pictureOf(made);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large"))), "image/png"));
}

function pictureOf(made) {
  const source = sharp(made), width = Math.max(source.clientWidth, 320);
  const parts = pictureParts(made, width), measured = document.createElement("canvas").getContext("2d");
  const height = parts.reduce((sum, part) => sum + part(measured, null), 0);
  const picture = document.createElement("canvas");
  Object.assign(picture, {width: (width + 2 * PICTURE.margin) * PICTURE.scale, height: (height + 2 * PICTURE.margin) * PICTURE.scale});
  const context = picture.getContext("2d");
  context.scale(PICTURE.scale, PICTURE.scale);
  context.fillStyle = token("card");
  context.fillRect(0, 0, picture.width, picture.height);
  context.translate(PICTURE.margin, PICTURE.margin);
  parts.reduce((y, part) => y + part(context, y), 0);
  pixelRatio = null;
  made.view.update();
  return picture;
}

// the canvas drawn anew with the picture's pixels
function sharp(made) {
  pixelRatio = Math.max(PICTURE.scale, window.devicePixelRatio || 1);
  made.view.update();
  return made.body.querySelector("canvas");
}

// each part draws itself at y, or only measures itself where y is null, and returns its height
function pictureParts(made, width) {
  const {body, figure, chart, view} = made, canvas = body.querySelector("canvas");
  const step = view.step ? `step ${wholeNumber(view.step())}` : "";
  const where = [chart.layer === null ? "" : flatText(chart.layer, 60), step].filter(Boolean).join(", ");
  const words = [...body.querySelectorAll(".where, .note")].filter((each) => !each.hidden).map((each) => each.textContent).filter(Boolean);
  return [
    textPart(figure.querySelector("h3").textContent, width, {bold: true, most: 3}),
    textPart(where, width, {most: 1}),
    canvasPart(canvas),
    ...[...body.querySelectorAll(".legend")].map((list) => legendPart(list, width)),
    ...[...body.querySelectorAll(".colours")].map((each) => rampPart(each)),
    ...words.map((text) => textPart(text, width, {most: 6})),
  ];
}

function canvasPart(canvas) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  return (context, y) => {
    if (y !== null) context.drawImage(canvas, 0, y + 6, width, height);
    return height + 16;
  };
}

function pictureFont(context, bold = false) {
  context.font = `${bold ? "600 15px" : `${PICTURE.font}px`} ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = token(bold ? "ink" : "muted");
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
}

function textPart(text, width, {bold = false, most}) {
  return (context, y) => {
    if (!text) return 0;
    pictureFont(context, bold);
    const lines = wrappedText(context, text, width).slice(0, most);
    if (y !== null) lines.forEach((line, i) => context.fillText(line, 0, y + 14 + i * PICTURE.line));
    return lines.length * PICTURE.line;
  };
}

// lines that fit a width; a word that fits none is cut where it has to be
function wrappedText(context, text, width) {
  const lines = [""], fits = (words) => context.measureText(words).width <= width;
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (fits(longer)) lines[lines.length - 1] = longer;
    else lines.push(fits(word) ? word : clip(word, Math.floor(width / LETTER)));
    if (lines.length > 12) break;
  }
  return lines.filter(Boolean);
}

function legendPart(list, width) {
  return (context, y) => {
    pictureFont(context);
    const before = list.parentElement.querySelector(":scope > .label")?.textContent ?? "";
    let [x, row] = [before ? context.measureText(before).width + 16 : 0, 0];
    if (y !== null) context.fillText(before, 0, y + 14);
    for (const item of list.children) {
      const label = flatText(item.textContent), wide = 18 + context.measureText(label).width;
      if (x && x + wide > width) [x, row] = [0, row + 1];
      if (y !== null) drawLegendItem(context, item, {x, y: y + row * PICTURE.line, label});
      x += wide + 16;
    }
    return list.children.length ? (row + 1) * PICTURE.line + 4 : 0;
  };
}

function drawLegendItem(context, item, {x, y, label}) {
  const swatch = item.querySelector(".swatch"), ring = swatch.classList.contains("ring");
  Object.assign(context, {fillStyle: swatch.style.color, strokeStyle: swatch.style.color, lineWidth: 2});
  context.beginPath();
  context.arc(x + 6, y + 9.5, ring ? 4 : 5, 0, 2 * Math.PI);
  if (ring) context.stroke();
  else context.fill();
  context.fillStyle = token("muted");
  context.fillText(label, x + 18, y + 14);
}

function rampPart(colours) {
  const stops = getComputedStyle(colours.querySelector(".ramp")).backgroundImage.match(/rgba?\([^)]*\)/g) ?? [];
  const ticks = [...colours.querySelectorAll(".ticks span")].map((each) => each.textContent);
  const label = colours.querySelector(".label").textContent;
  return (context, y) => {
    pictureFont(context);
    if (y === null) return 3 * PICTURE.line;
    const ramp = context.createLinearGradient(0, 0, 280, 0);
    stops.forEach((colour, i) => ramp.addColorStop(i / Math.max(stops.length - 1, 1), colour));
    context.fillText(flatText(label, 90), 0, y + 14);
    ticks.forEach((tick, i) => {
      context.textAlign = ["left", "center", "right"][Math.round((2 * i) / Math.max(ticks.length - 1, 1))];
      context.fillText(tick, (280 * i) / Math.max(ticks.length - 1, 1), y + 46);
    });
    context.fillStyle = ramp;
    context.fillRect(0, y + 20, 280, 10);
    return 3 * PICTURE.line;
  };
}
