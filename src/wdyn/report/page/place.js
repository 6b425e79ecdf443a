// A page that is loaded again, as after another analysis, returns to the picture that was read. The browser itself
// would return to a height, and how high sections are is only estimated until they are seen.

const LAID_OUT = 3000; // milliseconds in which what was seen for the first time has got its height

// to be called first; what it returns, when all pictures have their places
function keepPlace() {
  const place = history.state?.place, moved = new AbortController();
  for (const move of ["wheel", "touchmove", "pointerdown", "keydown"]) window.addEventListener(move, () => moved.abort(), {once: true, passive: true});
  return () => {
    notePlace();
    if (!place) return;
    if (document.readyState === "complete") showPlace(place, moved.signal);
    else window.addEventListener("load", () => showPlace(place, moved.signal));
  };
}

// a moment after the page was moved or laid out
function notePlace() {
  let due = null;
  const later = () => {
    clearTimeout(due);
    due = setTimeout(() => history.replaceState({place: placeNow()}, ""), 200);
  };
  window.addEventListener("scroll", later, {passive: true});
  new ResizeObserver(later).observe(document.querySelector("main"));
}

// the last section or picture that begins above the middle of the screen, and where; none at the top of the page
function placeNow() {
  if (!window.scrollY) return null;
  const begun = [...document.querySelectorAll("main :is(section, figure)[id]")].map((part) => ({id: part.id, top: part.getBoundingClientRect().top}));
  return begun.filter(({top}) => top < window.innerHeight / 2).at(-1) ?? null;
}

// again whenever something is laid out, until the reader moves
function showPlace({id, top}, moved) {
  const part = document.getElementById(id);
  if (!part || moved.aborted) return; // no such part since the page was made anew, or the reader was quicker
  const again = new ResizeObserver(() => window.scrollBy({top: part.getBoundingClientRect().top - top, behavior: "instant"}));
  again.observe(document.querySelector("main"));
  moved.addEventListener("abort", () => again.disconnect());
  setTimeout(() => again.disconnect(), LAID_OUT);
}
