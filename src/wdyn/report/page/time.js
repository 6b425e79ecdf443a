// Time: the step slider in two spacings, its keys, the epoch, and play.

const PLAY_MS = {least: 40, usual: 120, all: 12000, pause: 500}; // a frame, unless that would take all too long
const JUMP = 0.1; // of the run for a page key
let playing = null;
let isLinear = false; // the slider counts optimizer steps, not shown steps

function setUpTime() {
  const slider = document.getElementById("step"), spacing = document.getElementById("spacing");
  slider.addEventListener("input", () => {
    stop();
    choose({at: isLinear ? nearest(index.steps, Number(slider.value)) : Number(slider.value)});
  });
  slider.addEventListener("keydown", stepKey);
  spacing.hidden = isEven(Int32Array.from(index.steps));
  spacing.addEventListener("click", () => {
    isLinear = !isLinear;
    spacing.setAttribute("aria-pressed", String(isLinear));
    showTime();
  });
  document.getElementById("play").addEventListener("click", () => (playing ? stop() : play()));
}

// keys go from one shown step to the next in either spacing
function stepKey(event) {
  const last = index.steps.length - 1, jump = Math.max(1, Math.round(JUMP * last));
  const to = {
    ArrowRight: state.at + 1, ArrowUp: state.at + 1, ArrowLeft: state.at - 1, ArrowDown: state.at - 1,
    PageUp: state.at + jump, PageDown: state.at - jump, Home: 0, End: last,
  }[event.key];
  if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  stop();
  choose({at: Math.min(Math.max(to, 0), last)});
}

function play() {
  if (index.steps.length < 2) return;
  if (state.at === index.steps.length - 1) choose({at: 0});
  playing = setTimeout(playOn, playDelay());
  showPlaying();
}

function playOn() {
  if (state.at >= index.steps.length - 1) return stop();
  choose({at: state.at + 1});
  playing = setTimeout(playOn, playDelay());
}

// in linear spacing time runs as it ran in training: a longer gap between shown steps takes longer
function playDelay() {
  const {least, usual, all, pause} = PLAY_MS, steps = index.steps, gaps = steps.length - 1;
  if (!isLinear) return Math.max(least, Math.min(usual, all / gaps));
  const share = (steps[Math.min(state.at + 1, gaps)] - steps[state.at]) / (steps[gaps] - steps[0]);
  return Math.max(least, Math.min(pause, all * share));
}

function stop() {
  clearTimeout(playing);
  playing = null;
  showPlaying();
}

function showPlaying() {
  const button = document.getElementById("play");
  button.classList.toggle("on", playing !== null);
  button.setAttribute("aria-label", playing ? "Pause" : "Play");
}

function showTime() {
  const slider = document.getElementById("step"), {steps, epochs} = index, last = steps.length - 1;
  const [low, high, value] = isLinear ? [steps[0], steps[last], state.step] : [0, last, state.at];
  Object.assign(slider, {min: String(low), max: String(high)});
  slider.value = String(value);
  const epoch = epochs && epochs[state.at] !== null ? `, epoch ${numberText(epochs[state.at])}` : "";
  slider.setAttribute("aria-valuetext", `step ${wholeNumber(state.step)}${epoch}`);
  slider.style.setProperty("--done", `${(100 * (value - low)) / Math.max(high - low, 1)}%`);
  const label = document.getElementById("step-label");
  label.replaceChildren(`step ${wholeNumber(state.step)}`, ...(epoch ? [element("span", {class: "epoch"}, epoch.slice(2))] : []));
  label.title = `${state.at + 1} of ${steps.length} shown steps`;
}
