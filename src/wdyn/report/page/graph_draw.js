// A graph on its canvas: edges by strength, nodes by colour, the chosen neuron with its neighbours.

const NODE = {least: 2, most: 9}, LEVELS = 5, FIT = {margin: 14, most: 1.8, ease: 0.25};

function drawGraph(view) {
  const {width, height} = graphSize(view), context = fitted(view.canvas, width, height);
  if (!view.nodes.length) return emptyText(context, width, height, "No neuron has a direction at this step.");
  const chosen = view.nodes.filter((i) => view.data.neurons[i] === neuronIn(view.data)), near = new Set(chosen);
  chosen.forEach((i) => neighboursOf(view.edges, i).forEach((j) => near.add(j)));
  const place = placeOn(view, width, height);
  drawEdges(context, view, place, chosen.length > 0);
  drawNodes(context, view, place, chosen.length ? near : null);
  drawChosenEdges(context, view, place, new Set(chosen));
  chosen.forEach((i, k) => drawChosenNode(context, view, place, {i, above: k % 2 === 0}));
}

function graphSize({canvas}) {
  const width = widthOf(canvas.parentElement);
  return {width, height: Math.round(Math.min(Math.max(width * 0.8, 260), 560))};
}

function nodeRadius(share) {
  return Math.max(NODE.least, NODE.most * share);
}

// scale and middle at which all nodes are seen
function fitOf({layout, nodes}, width, height) {
  const ends = (along) => nodes.reduce(([low, high], i) => [Math.min(low, along[i] - layout.radius[i]), Math.max(high, along[i] + layout.radius[i])], [Infinity, -Infinity]);
  const [x0, x1] = ends(layout.x), [y0, y1] = ends(layout.y), room = (size) => size - 2 * FIT.margin;
  const scale = Math.min(room(width) / (x1 - x0 || 1), room(height) / (y1 - y0 || 1), FIT.most);
  return nodes.length ? {scale, x: (x0 + x1) / 2, y: (y0 + y1) / 2} : {scale: 1, x: 0, y: 0};
}

// moves the view a part of the way to where all nodes are seen; says whether it is there
function easeFit(view, at_once) {
  const {width, height} = graphSize(view), goal = fitOf(view, width, height), from = view.fit;
  const near = from && Math.abs(goal.scale - from.scale) < 0.002 * goal.scale && Math.hypot(goal.x - from.x, goal.y - from.y) * goal.scale < 0.5;
  if (at_once || !from || near) view.fit = goal;
  else view.fit = Object.fromEntries(["scale", "x", "y"].map((key) => [key, from[key] + FIT.ease * (goal[key] - from[key])]));
  return view.fit === goal;
}

function placeOn({layout, fit}, width, height) {
  return {
    x: (i) => width / 2 + (layout.x[i] - fit.x) * fit.scale, y: (i) => height / 2 + (layout.y[i] - fit.y) * fit.scale,
    radius: (i) => Math.max(layout.radius[i] * fit.scale, 1),
  };
}

// strength shows in the shade: lines wider than a pixel would take ten times as long to draw
function drawEdges(context, {edges}, place, dim) {
  context.lineWidth = 1;
  for (let level = 0; level < LEVELS; level++) {
    const strength = (level + 0.5) / LEVELS;
    context.strokeStyle = withAlpha(token("ink"), (dim ? 0.2 : 1) * (0.08 + 0.62 * strength ** 1.5));
    context.beginPath();
    for (let k = 0; k < edges.count; k++) {
      if (Math.min(LEVELS - 1, Math.floor((edges.at[k] * LEVELS) / PLACES)) !== level) continue;
      context.moveTo(place.x(edges.from[k]), place.y(edges.from[k]));
      context.lineTo(place.x(edges.to[k]), place.y(edges.to[k]));
    }
    context.stroke();
  }
}

// near: nodes that stay bright, or null for all
function drawNodes(context, {layout, paint}, place, near) {
  for (const {fill, rim, width, nodes} of paint) {
    Object.assign(context, {fillStyle: fill, strokeStyle: rim, lineWidth: width});
    for (const bright of near ? [false, true] : [true]) {
      context.globalAlpha = bright ? 1 : 0.22;
      for (const i of nodes) {
        if (near && near.has(i) !== bright) continue;
        context.beginPath();
        context.arc(place.x(i), place.y(i), place.radius(i), 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    }
  }
  context.globalAlpha = 1;
  context.fillStyle = token("card");
  layout.held.forEach((held, i) => held && layout.live[i] && dot(context, place.x(i), place.y(i), Math.max(place.radius(i) * 0.35, 1)));
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function drawChosenEdges(context, {edges}, place, chosen) {
  if (!chosen.size) return;
  context.strokeStyle = withAlpha(token("ink"), 0.75);
  context.lineWidth = 1.25;
  context.beginPath();
  for (let k = 0; k < edges.count; k++) {
    if (!chosen.has(edges.from[k]) && !chosen.has(edges.to[k])) continue;
    context.moveTo(place.x(edges.from[k]), place.y(edges.from[k]));
    context.lineTo(place.x(edges.to[k]), place.y(edges.to[k]));
  }
  context.stroke();
}

// names of neurons of one number in two runs, which often lie side by side, stand on two sides
function drawChosenNode(context, view, place, {i, above}) {
  const [x, y] = [place.x(i), place.y(i)];
  context.strokeStyle = context.fillStyle = token("ink");
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, place.radius(i) + 3.5, 0, 2 * Math.PI);
  context.stroke();
  context.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = x > widthOf(view.canvas.parentElement) - 60 ? "right" : "left";
  const name = view.data.runs.length ? `${state.neuron} · ${flatText(view.data.runs[view.data.groups[i]], 16)}` : String(state.neuron);
  outlinedText(context, name, x + (context.textAlign === "left" ? 10 : -10), above ? y - 8 : y + 18);
}

// read on any crowd of edges
function outlinedText(context, text, x, y) {
  Object.assign(context, {strokeStyle: token("card"), lineWidth: 3, lineJoin: "round"});
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}
