// Nodes follow the pointer that took them; a short press stays a click.

// find(x, y) -> node or -1; take(node, x, y) at each move; drop(node) at the end
function onDrag(canvas, {find, take, drop}) {
  let node = -1, from = null, moved = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect(), inside = (at, size) => Math.min(Math.max(at, 4), size - 4);
    return [inside(event.clientX - box.left, box.width), inside(event.clientY - box.top, box.height)];
  };
  const end = () => {
    if (node >= 0 && moved) drop(node);
    node = -1;
  };
  canvas.addEventListener("pointerdown", (event) => {
    moved = false;
    from = place(event);
    node = event.button === 0 ? find(...from) : -1;
    if (node >= 0) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (node < 0) return;
    const at = place(event);
    moved ||= Math.hypot(at[0] - from[0], at[1] - from[1]) > 4;
    if (moved) take(node, ...at);
  });
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("touchmove", (event) => node >= 0 && event.preventDefault(), {passive: false}); // the page stays where it is
  canvas.addEventListener("click", (event) => moved && event.stopImmediatePropagation()); // a drag chooses nothing
}
