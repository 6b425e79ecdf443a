// A page that is loaded again, as after another analysis, returns to the picture that was read. The browser itself
// would return to a height, and how high sections are is only estimated until they are seen.

function keepPlace() {
  window.addEventListener("scrollend", () => history.replaceState({place: placeNow()}, ""));
  const place = history.state?.place;
  if (!place) return;
  if (document.readyState === "complete") showPlace(place);
  else window.addEventListener("load", () => showPlace(place));
}

// the last section or picture that begins above the middle of the screen, and where; none at the top of the page
function placeNow() {
  if (!window.scrollY) return null;
  const begun = [...document.querySelectorAll("main :is(section, figure)[id]")].map((part) => ({id: part.id, top: part.getBoundingClientRect().top}));
  return begun.filter(({top}) => top < window.innerHeight / 2).at(-1) ?? null;
}

// again whenever something is laid out, until the reader moves or all has had its time
function showPlace({id, top}) {
  const part = document.getElementById(id);
  if (!part) return; // the page was made anew without it
  const again = new ResizeObserver(() => window.scrollBy({top: part.getBoundingClientRect().top - top, behavior: "instant"}));
  const leave = () => again.disconnect();
  again.observe(document.querySelector("main"));
  for (const moved of ["wheel", "touchmove", "pointerdown", "keydown"]) window.addEventListener(moved, leave, {once: true, passive: true});
  setTimeout(leave, 3000);
}
