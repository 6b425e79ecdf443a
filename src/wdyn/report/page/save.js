// One small menu per figure: its picture and its numbers as files, made here and sent nowhere.

const FILE_NAME = 160;
let openMenu = null;

function saveMenu(made) {
  const {view} = made, kinds = [];
  if (view.picture || made.body.querySelector("canvas")) kinds.push(["PNG", "picture", () => pngOf(made)]);
  if (view.picture) kinds.push(["SVG", "drawing", () => view.picture("svg")]);
  if (view.csv) kinds.push(["CSV", "numbers", () => new Blob([csvText(view.csv())], {type: "text/csv;charset=utf-8"})]);
  const list = element("div", {class: "menu", hidden: ""});
  const button = element("button", {type: "button", "aria-expanded": "false"}, "Save");
  list.append(...kinds.map(([kind, what, make]) => saveButton(made, {kind, what, make})));
  const menu = element("div", {class: "save"}, button, list);
  button.addEventListener("click", () => (list.hidden ? showMenu(menu) : hideMenu()));
  menu.addEventListener("keydown", (event) => menuKey(event, menu));
  return menu;
}

function saveButton(made, {kind, what, make}) {
  const button = element("button", {type: "button"}, `${kind} `, element("span", {class: "label"}, what));
  button.addEventListener("click", async () => {
    hideMenu();
    toldView(made);
    try {
      saveFile(await make(), `${fileName(made, kind)}.${kind.toLowerCase()}`);
    } catch (error) {
      showTrouble(error);
    }
  });
  return button;
}

function showMenu(menu) {
  hideMenu();
  openMenu = menu;
  menu.querySelector("button").setAttribute("aria-expanded", "true");
  menu.querySelector(".menu").hidden = false;
  menu.closest(".card").classList.add("front");
}

function hideMenu() {
  if (!openMenu) return;
  const [button, list] = openMenu.children;
  if (list.contains(document.activeElement)) button.focus();
  button.setAttribute("aria-expanded", "false");
  list.hidden = true;
  openMenu.closest(".card").classList.remove("front");
  openMenu = null;
}

// Escape closes the menu and keeps the chosen neuron; arrows go through its entries
function menuKey(event, menu) {
  if (openMenu !== menu) return;
  const entries = [...menu.querySelectorAll("button")], turn = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (turn) entries[(entries.indexOf(document.activeElement) + turn + entries.length) % entries.length].focus();
  else if (event.key === "Escape") hideMenu();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function setUpMenus() {
  document.addEventListener("pointerdown", (event) => openMenu && !openMenu.contains(event.target) && hideMenu());
}

function saveFile(blob, name) {
  const link = element("a", {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// what a picture shows belongs to a step, and so do numbers of one step
function fileName({slot, chart, view}, kind) {
  const ofStep = view.step && (kind !== "CSV" || view.csvOfStep);
  const words = [slot.id.replace(/-\d+$/, ""), chart.title, chart.layer ?? "", ofStep ? `step ${view.step()}` : ""];
  return words.map((text) => slug(text, 60)).filter(Boolean).join("-").slice(0, FILE_NAME);
}

function slug(text, length) {
  return String(text).replace(/[^a-zA-Z0-9_.]+/g, "-").slice(0, length).replace(/^[-.]+|[-.]+$/g, "");
}

// RFC 4180
function csvText({headings, rows}) {
  const lines = [headings, ...rows].map((cells) => cells.map(csvCell).join(","));
  return lines.join("\r\n") + "\r\n";
}

// numbers in full. A name that a spreadsheet would run as a formula gets an apostrophe, which makes it text there
function csvCell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf";
  const text = visible(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// a float32 in the fewest digits that name it: 0.1, not 0.10000000149
function exact(values, i) {
  const value = valueAt(values, i);
  if (!(values instanceof Float32Array) || !Number.isFinite(value)) return value;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

// a value that was stored as one of so many codes, to a tenth of their distance
function exactCode(value, {low, high}, codes) {
  const places = Math.ceil(1 - Math.log10((high - low) / codes));
  return Number.isFinite(places) && places >= 0 && places <= 100 ? Number(value.toFixed(places)) : value;
}
