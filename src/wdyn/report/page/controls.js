// Header: layer, neuron, theme; time.js has the rest.

function chooseStep(step) {
  choose({at: nearest(index.steps, step)});
}

function setUpControls() {
  const slider = document.getElementById("step"), layer = document.getElementById("layer"), neuron = document.getElementById("neuron");
  setUpTime();
  layer.addEventListener("change", () => {
    neuron.value = "";
    forgetTip();
    choose({layer: index.layers[layer.selectedIndex], neuron: null});
  });
  neuron.addEventListener("input", () => {
    choose({neuron: neuron.value === "" || !neuron.checkValidity() ? null : Number(neuron.value)});
    showRange(neuron);
  });
  document.getElementById("theme").addEventListener("click", () => setTheme(!state.dark));
  document.addEventListener("keydown", playKey);
  setUpMenus();
}

function playKey(event) {
  if (event.key === "Escape") clearNeuron();
  const busy = event.target.closest("button, select, summary, a, input:not([type=range])");
  if (event.key !== " " || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (playing) stop();
  else play();
}

function clearNeuron() {
  document.getElementById("neuron").value = "";
  document.getElementById("picked").textContent = "";
  choose({neuron: null});
}

function showControls() {
  showTime();
  document.getElementById("layer").selectedIndex = index.layers.indexOf(state.layer);
  const neuron = document.getElementById("neuron");
  neuron.max = String((index.neurons[index.layers.indexOf(state.layer)] ?? 1) - 1);
  if (document.activeElement !== neuron) neuron.value = state.neuron === null ? "" : String(state.neuron);
}

function showPicked(slots) {
  if (state.neuron === null) return showRange(document.getElementById("neuron"));
  const [marked, pictures] = markedIn(slots, state.neuron);
  const where = pictures ? ` is marked in ${marked === pictures && marked > 1 ? "all" : marked} of ${pictures} picture${pictures === 1 ? "" : "s"} of this layer` : " is chosen";
  document.getElementById("picked").textContent = `Neuron ${state.neuron}${where}. Escape clears it.`;
}

// a number that names no neuron is answered with those that do
function showRange(neuron) {
  const wrong = neuron.value !== "" && !neuron.checkValidity();
  document.getElementById("picked").textContent = wrong ? `${flatText(state.layer)} has neurons 0 to ${wholeNumber(Number(neuron.max))}.` : "";
}

function setTheme(dark) {
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  document.getElementById("theme").textContent = dark ? "Light" : "Dark";
  forgetTokens();
  choose({dark});
}
