// The board in a browser, the same picture as `svg.py` makes, from what `on_cells` tells.

const SEAT_COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];
const ON_SEAT = ["#fff", "#000", "#000", "#000"];
const ACROSS = 20, CELL = 18, LEVELS = 5;

// place: {hex, size: [width, height], centres: [[x, y], ...]}; tokens: what is on each cell;
// marks: {last: [cells], targets: [cells], heat: {cell: share}}, each may be missing.
function boardSvg(place, tokens, marks = {}) {
  const [width, height] = place.size;
  const {last = [], targets = [], heat = {}} = marks;
  const chosen = [...targets].sort((a, b) => a - b), levels = levelsOf(heat);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" fill="none" font-size="9" ` +
    `font-family="sans-serif" text-anchor="middle">` +
    cells(place) + heats(place, levels, tokens) + edged(place, chosen.filter(cell => !tokens[cell])) +
    lastWay(place, last) + pieces(place, tokens) + rings(place, last.slice(-1), 9, "#888", 2) +
    heatRings(place, levels, tokens) + edgedRings(place, chosen.filter(cell => tokens[cell])) + "</svg>";
}

function path(line, colour, width, {fills = false, pale = "", dashes = ""} = {}) {
  if (!line) return "";
  return `<path d="${line}" stroke="${colour}" stroke-width="${width}" ` +
    `stroke-linecap="${fills ? "square" : "round"}"${opacity(pale)}${dashes}/>`;
}

const opacity = pale => pale ? ` stroke-opacity="${pale}"` : "";

function rings(place, chosen, radius, colour, width, pale = "") {
  const circles = chosen.map(cell => `<circle cx="${place.centres[cell][0]}" cy="${place.centres[cell][1]}" r="${radius}"/>`);
  return circles.length ? `<g stroke="${colour}" stroke-width="${width}"${opacity(pale)}>${circles.join("")}</g>` : "";
}

function dots(place, chosen) {
  return chosen.map(cell => `M${place.centres[cell][0]} ${place.centres[cell][1]}h0`).join("");
}

function cells(place) {
  const rows = new Map();
  for (const [x, y] of place.centres) {
    const [first] = rows.get(y) ?? [x];
    rows.set(y, [first, x]);
  }
  const line = [...rows].map(([y, [first, end]]) => `M${first} ${y}h${end - first + 1}`).join("");
  return path(line, "#888", CELL, {fills: !place.hex, pale: ".25", dashes: ` stroke-dasharray="0 ${ACROSS}"`});
}

// Targets and heat fill empty cells and are rings around what stands on others.
function levelsOf(heat) {
  const levels = Array.from({length: LEVELS}, () => []);
  for (const cell of Object.keys(heat).map(Number).sort((a, b) => a - b))
    levels[Math.min(Math.trunc(heat[cell] * LEVELS), LEVELS - 1)].push(cell);
  return levels;
}

const paleness = level => `.${15 * (level + 1)}`;

function heats(place, levels, tokens) {
  return levels.map((chosen, level) => path(dots(place, chosen.filter(cell => !tokens[cell])), "#d55e00", CELL,
    {fills: !place.hex, pale: paleness(level)})).join("");
}

function heatRings(place, levels, tokens) {
  return levels.map((chosen, level) =>
    rings(place, chosen.filter(cell => tokens[cell]), 7, "#d55e00", 3, paleness(level))).join("");
}

function edged(place, targets) {
  const line = dots(place, targets);
  return path(line, "currentColor", 10) + path(line, "#f0e442", 8);
}

function edgedRings(place, targets) {
  return rings(place, targets, 10, "currentColor", 3) + rings(place, targets, 10, "#f0e442", 2);
}

function pieces(place, tokens) {
  const of = wanted => tokens.flatMap((token, cell) => wanted(token) ? [cell] : []);
  const each = draw => SEAT_COLOURS.map((colour, seat) => draw(colour, seat)).join("");
  const stacks = of(token => token[0] === "s").map(cell => [cell, tokens[cell].slice(1)]);
  return each((colour, seat) => path(dots(place, of(token => token === `c${seat}`)), colour, CELL,
    {fills: !place.hex, pale: ".5"})) +
    each((colour, seat) => path(dots(place, of(token => token === `m${seat}`)), colour, 10)) +
    path(dots(place, of(token => token[0] === "m")), "#fff", 5) +
    discs(place, stacks) + heights(place, stacks);
}

function discs(place, stacks) {
  const layers = [];  // by how many colours are below, then by seat
  for (const [cell, digits] of stacks)
    (digits.match(/(.)\1*/g) ?? []).forEach((run, depth) => {
      layers[depth] ??= SEAT_COLOURS.map(() => []);
      layers[depth][Number(run[0])].push(cell);
    });
  return layers.flatMap((seats, depth) => seats.map((chosen, seat) =>
    path(dots(place, chosen), SEAT_COLOURS[seat], Math.max(17 - 3 * depth, 8)))).join("");
}

function heights(place, stacks) {
  const shown = {"#000": "", "#fff": ""};
  for (const [cell, digits] of stacks) {
    const [x, y] = place.centres[cell];
    shown[ON_SEAT[Number(digits.at(-1))]] += `<text x="${x}" y="${y + 3}">${digits.length}</text>`;
  }
  return Object.entries(shown).map(([colour, all]) => all && `<g fill="${colour}">${all}</g>`).join("");
}

function lastWay(place, last) {
  const line = last.map(cell => place.centres[cell].join(" ")).join("L");
  return path(last.length > 1 ? `M${line}` : "", "#888", 2);
}
