// Axes of the line charts: the same stretch of steps in each, round labels that stay apart.

function axisTitle(label, box) {
  return {text: plotText(label, Math.max(Math.floor((box.clientWidth - 60) / LETTER), 12)), standoff: 8, font: {size: 12}};
}

// above the plot: what goes up, unless the title says it already
function axisWords(label, title, scale) {
  const told = label.toLowerCase() === title.toLowerCase(), log = scale === "log" ? "log scale" : "";
  if (told) return log;
  return nameElement(log ? `${label} (${log})` : label);
}

// over steps every chart shows the whole run, so that places compare
function xAxis(data, box) {
  const from = data.overSteps ? [index.range.first, index.range.last] : [];
  const ends = [...from, ...data.x].map(data.place).filter(Number.isFinite);
  if (!ends.length) return {type: "linear"};
  const [low, high] = extremes(ends), width = Math.max(box.clientWidth - 60, 100);
  if (data.x_scale !== "log" || !(low > 0)) return {type: "linear", range: padded(low, high), ...(low === high && {tickvals: [low]})};
  const zero = data.overSteps ? index.range.first <= 0 : data.x[0] <= 0;
  const ticks = logTicks(zero ? Math.max(data.positive, low) : low, high, {pixels: width, apart: 9 + 8 * numberText(high).length});
  return {
    type: "log", range: padded(Math.log10(low), Math.log10(high)),
    tickvals: zero ? [low, ...ticks] : ticks, ticktext: [...(zero ? ["0"] : []), ...ticks.map(numberText)],
  };
}

// beside other layers it spans what all of them need
function yAxis(data) {
  const {common} = data, positive = common ? [common.low, common.high] : drawnValues(data).filter((value) => value > 0 && Number.isFinite(value));
  if (data.y_scale !== "log" || !positive.length) return {type: "linear", ...(common && {range: padded(common.low, common.high)})};
  const ticks = logTicks(...extremes(positive), {pixels: 220, apart: 26});
  return {type: "log", tickvals: ticks, ticktext: ticks.map(numberText), ...(common && {range: padded(...positive.map(Math.log10))})};
}

function drawnValues(data) {
  const all = [...data.lines.map((line) => line.values), ...data.bands.flatMap((band) => [band.low, band.high]), ...data.reference.map((line) => (line.values !== null && typeof line.values === "object" ? line.values : [line.values]))];
  return all.flatMap((values) => Array.from(values));
}

function extremes(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

function padded(low, high) {
  const pad = 0.015 * (high - low) || 0.5;
  return [low - pad, high + pad];
}

// the densest round values whose labels stay apart; over less than a decade they are spaced evenly
function logTicks(low, high, {pixels, apart}) {
  const perDecade = pixels / Math.max(Math.log10(high / low), 1e-9);
  const fits = (ticks) => ticks.length > 1 && ticks.every((tick, i) => !i || Math.log10(tick / ticks[i - 1]) * perDecade >= apart);
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const inside = (ticks) => ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  const decades = (every, leading) => {
    const ticks = [];
    for (let power = Math.ceil(first / every) * every; power <= last; power += every) ticks.push(...leading.map((digit) => Number(`${digit}e${power}`)));
    return inside(ticks);
  };
  const sets = [decades(1, [1, 2, 3, 4, 5, 6, 7, 8, 9]), decades(1, [1, 2, 5]), decades(1, [1, 3]), ...[1, 2, 5, 10, 20, 50, 100].map((every) => decades(every, [1]))];
  return sets.find(fits) ?? inside(evenTicks(low, high)).filter((tick, i, all) => i % 2 === 0 || fits(all));
}

function evenTicks(low, high) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 3 || high));
  const step = [5, 2, 1].map((digit) => digit * power).find((each) => (high - low) / each >= 2) ?? power;
  return Array.from({length: 8}, (_, i) => Number(((Math.ceil(low / step) + i) * step).toPrecision(12)));
}
