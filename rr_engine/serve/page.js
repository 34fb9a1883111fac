// The page to play on. It keeps the moves, in its address too; what they lead to and who plays what is asked of the server.

const YOU = "you", LEAST = 0.01;  // share of a hint that is shown on the board
const PACE_MS = 300;  // of a decision that others make while nobody plays: whoever watches has to see it
const ADDRESS_MS = 1000;  // from one change of the address to the next: browsers refuse more than 100 in a while
const SLOW_MS = 3000;  // after which whoever waits is told why that may be
const NAMED = 8;  // cells of a line or a region that a button names
const game = {config: "hex8_2p", players: [YOU, "heuristic"], moves: []};
let world, stand, chosen = [], hints = {}, chances = null, paused = false, asked = 0;
let known = false;  // whether `stand` is what the moves have led to: until then nothing can be chosen
let lit = null;  // cells of the choice that is pointed at
let cursor = -1, column = 0;  // the cell that the keyboard is at, and how far to the right its column is
let leaving = new AbortController();  // of what is asked and not waited for any more
let written = 0, writing = 0;  // when the address was, and the timer by which it will be

async function ask(path, body) {
  const question = {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), signal: leaving.signal};
  const answer = await fetch(path, question).catch(() => { throw new Error("The server cannot be reached."); });
  const told = await answer.json().catch(() => ({detail: `The server answers ${answer.status}.`}));
  if (!answer.ok) throw new Error(told.detail);
  return told.answers[0];
}

// What the moves lead to; it is slow only where the server has not had the board before.
async function reached() {
  const waiting = setTimeout(() => tell("The server is at it: it compiles the rules of this board."), SLOW_MS);
  return ask("legal", {positions: [position()]}).finally(() => clearTimeout(waiting));
}

const tell = text => { element("says").textContent = text; };
const position = () => ({config: game.config, moves: game.moves});
const configOf = key => world.configs.find(one => one.key === key);
const place = () => world.boards[configOf(game.config).board];
const agentAt = seat => game.players[stand.swapped && stand.hand.length === 2 ? 1 - seat : seat];
const isYours = () => known && stand.seat !== null && agentAt(stand.seat) === YOU;

// Where a game stands is all in the address, so a link is the game.
function link() {
  const words = new URLSearchParams({config: game.config, players: game.players.join(","), moves: game.moves.join(" ")});
  return String(new URL("#" + words, location.href));
}

function writeAddress() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    written = Date.now();
    history.replaceState(null, "", link());
  }, Math.max(0, written + ADDRESS_MS - Date.now()));
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1)), key = words.get("config") ?? game.config;
  if (!configOf(key)) throw new Error(`There is no ${key} here: boards are ${world.configs.map(one => one.key).join(", ")}.`);
  const players = (words.get("players") ?? "").split(",").filter(name => name);
  game.config = key;
  game.players = Array.from({length: configOf(key).seats}, (_, seat) => players[seat] ?? (seat ? "heuristic" : YOU));
  game.moves = (words.get("moves") ?? "").split(" ").filter(move => move);
}

// The game that the address tells.
function open() {
  try {
    readAddress();
  } catch (error) {
    return tell(error.message);
  }
  element("config").value = game.config;
  drawPlayers(game.config);
  start();
}

// Another game than before: nothing that was known holds.
function start() {
  stand = undefined; cursor = -1; chances = null;
  pause(false);
  goOn();
}

// What is on its way is not waited for any more; returns a number that holds until this is said again.
function leave() {
  known = false; chosen = []; hints = {}; lit = null;
  element("hints").replaceChildren();
  element("choices").replaceChildren();
  element("link").hidden = true;
  leaving.abort();
  leaving = new AbortController();
  return ++asked;
}

function fail(error, mine) {
  if (mine !== asked) return;
  if (!stand) { element("board").replaceChildren(); element("seats").replaceChildren(); element("chances").replaceChildren(); }
  tell(error.message);
}

async function goOn() {
  const mine = leave();
  try {
    const now = await reached();
    if (mine !== asked) return;
    stand = now;
    known = true;
    writeAddress();
    draw();
    if (stand.seat === null || isYours() || paused) return;
    const asking = ask("move", {positions: [position()], player: agentAt(stand.seat), seed: game.moves.length});
    const [decision] = await Promise.all([asking, game.players.includes(YOU) || new Promise(seen => setTimeout(seen, PACE_MS))]);
    if (mine !== asked) return;
    chances = decision.chances;
    play(decision.move);
  } catch (error) { fail(error, mine); }
}

function play(move) {
  game.moves.push(move);
  goOn();
}

// Moves are chosen cell by cell; a line or a region by any of its cells.
const isSet = move => /^[LT]\d/.test(move.move);
const steps = move => /^C\d/.test(move.move) ? [move.cells[0], move.cells[2]] : move.cells;
const fits = move => isSet(move)
  ? chosen.length <= 1 && chosen.every(cell => move.cells.includes(cell))
  : chosen.every((cell, step) => steps(move)[step] === cell);
const candidates = () => stand.legal.filter(fits);
const isChosen = move => isSet(move) ? chosen.length === 1 : chosen.length === steps(move).length;

function targets() {
  const found = new Set();
  if (!isYours()) return found;
  for (const move of candidates()) {
    if (isSet(move)) { if (!chosen.length) move.cells.forEach(cell => found.add(cell)); }
    else if (chosen.length < steps(move).length) found.add(steps(move)[chosen.length]);
  }
  return found;
}

function choose(cell) {
  if (!known) return;
  if (!targets().has(cell)) {
    chosen = [];
    if (!targets().has(cell)) return draw();
  }
  chosen.push(cell);
  const left = candidates();
  if (left.length === 1 && isChosen(left[0])) return play(left[0].move);
  draw();
}

function words(move) {
  const [, kind, rest] = /^([A-Z])(.*)$/.exec(move.move);
  if (kind === "P") return rest === "-" ? "place nothing" : `place ${rest.split("x")[1]}`;
  if (kind === "R" && rest !== "-") return `recover, ${move.move}`;
  if (kind === "L") return `collapse ${rest.endsWith("+") ? "all of the line" : "part of the line, free"}: ${named(move.cells)}`;
  if (kind === "T" && rest !== "-") return `claim ${named(move.cells)}`;
  return {W: "swap seats", M: "move", C: rest === "-" ? "end the chain" : "capture", E: "eliminate here",
    T: "claim nothing", F: "eliminate, forced", R: "do not recover"}[kind] ?? move.move;
}

function named(cells) {
  if (cells.length <= NAMED) return `${cells.length > 1 ? "cells" : "cell"} ${cells.join(" ")}`;
  return `${cells.length} cells, ${cells.slice(0, NAMED - 1).join(" ")} ... ${cells.at(-1)}`;
}

function draw() {
  if (!stand) return;
  const seen = element("board").dataset;
  lit = null;
  drawBoard();
  seen.seat = stand.seat ?? "over";
  seen.moves = game.moves.length;
  element("cell").textContent = cursor < 0 ? "" : saidOf(cursor);
  tell(said());
  drawChoices();
  drawSeats();
}

function drawSeats() {
  const seats = stand.hand.map((hand, seat) =>
    ({name: agentAt(seat), hand, eliminated: stand.eliminated[seat], territory: stand.territory[seat]}));
  showSeats(seats, {goals: stand.goals, now: stand.seat, chances});
}

function drawBoard() {
  const marks = {last: chosen.length ? chosen : stand.last, targets: lit ?? [...targets()], heat: hints};
  const board = element("board");
  board.innerHTML = boardSvg(place(), stand.on_cells, marks);
  if (cursor >= 0) {
    const [x, y] = place().centres[cursor];
    board.firstChild.insertAdjacentHTML("beforeend", `<circle cx="${x}" cy="${y}" r="12" stroke="#d55e00" stroke-width="2"/>`);
  }
}

function said() {
  if (stand.result) return `${agentAt(stand.result.winner)} wins, seat ${stand.result.winner + 1}, by ${stand.result.end}`;
  const who = isYours() ? "You" : agentAt(stand.seat);
  const phases = {place: "place rings", move: "move a stack", cap: "capture", chain: "capture on", line: "choose a line",
    lelim: "pay for a line", terr: "choose a region", telim: "pay for territory", fe: "eliminate a stack"};
  return `${who}, seat ${stand.seat + 1}: ${phases[stand.phase]}${paused && !isYours() ? " (paused)" : ""}`;
}

// What is on a cell, for who cannot see it.
function saidOf(cell) {
  const [what, ...seats] = stand.on_cells[cell], top = Number(seats.at(-1)) + 1;
  const on = {s: `stack of ${seats.length}, seat ${top} on top`, m: `marker of seat ${top}`, c: `territory of seat ${top}`}[what];
  return `cell ${cell}: ${on ?? "empty"}${targets().has(cell) ? ", can be chosen" : ""}`;
}

// What has no cells, and what shares all of them with another move, is chosen by a button.
function drawChoices() {
  const shown = isYours() ? candidates().filter(move => !move.cells.length || chosen.length && isChosen(move)) : [];
  element("choices").replaceChildren(...shown.map(move => {
    const button = document.createElement("button");
    button.textContent = words(move);
    button.title = move.move;
    button.onclick = () => { if (isYours()) { play(move.move); element("board").focus({preventScroll: true}); } };
    button.onmouseenter = button.onfocus = () => light(move.cells);
    button.onmouseleave = button.onblur = () => light(null);
    return button;
  }));
}

function light(cells) {
  if (!known) return;
  lit = cells;
  drawBoard();
}

async function hint() {
  if (!known || stand.seat === null) return;
  const mine = asked;
  element("hints").textContent = `${world.adviser} thinks ...`;
  try {
    const told = await ask("evaluate", {positions: [position()], player: world.adviser});
    if (mine !== asked) return;
    chances = told.chances;
    hints = {};
    for (const move of told.best) if (move.cells.length && move.share >= LEAST) hints[move.cells.at(-1)] = (hints[move.cells.at(-1)] ?? 0) + move.share;
    const most = Math.max(...Object.values(hints));
    for (const cell in hints) hints[cell] /= most;
    element("hints").replaceChildren(...told.best.slice(0, 5).map(move => {
      const line = document.createElement("p");
      const value = move.value === null ? "" : `, wins ${Math.round(100 * move.value)} %`;
      const share = move.share < LEAST ? "under 1" : Math.round(100 * move.share);
      line.textContent = `${share} %${value}: ${words(move)}  ${move.move}`;
      return line;
    }));
    drawBoard();
    drawSeats();
  } catch (error) { if (mine === asked) element("hints").textContent = error.message; }
}

// Back to a decision of yours; where only others play, one back, and they rest.
async function undo() {
  const mine = leave(), yours = game.players.includes(YOU);
  chances = null;
  try {
    while (game.moves.length) {
      game.moves.pop();
      const now = await reached();
      if (mine !== asked) return;
      stand = now;
      if (!yours || agentAt(stand.seat) === YOU) break;
    }
    if (!yours) pause(true);
    goOn();
  } catch (error) { fail(error, mine); }
}

function pause(on) {
  paused = on;
  element("stop").textContent = on ? "Go on" : "Pause";
}

function cellAt(event) {
  const svg = element("board").firstChild, box = svg.getBoundingClientRect(), [width, height] = place().size;
  const scale = Math.min(box.width / width, box.height / height);
  const x = (event.clientX - box.left - (box.width - width * scale) / 2) / scale;
  const y = (event.clientY - box.top - (box.height - height * scale) / 2) / scale;
  const far = ([a, b]) => (a - x) ** 2 + (b - y) ** 2;
  const nearest = place().centres.reduce((best, middle, cell) => far(middle) < far(place().centres[best]) ? cell : best, 0);
  return far(place().centres[nearest]) < 121 ? nearest : -1;
}

// Along the row, or to the next one: there to the cell nearest to the column, so that the way up and down is straight.
function walk(across, down) {
  const centres = place().centres;
  if (cursor < 0) { cursor = Math.floor(centres.length / 2); column = centres[cursor][0]; }
  const [x, y] = centres[cursor];
  const ahead = ([a, b]) => across ? (b === y ? across * (a - x) : 0) : down * (b - y);
  const [next] = centres.map((middle, cell) => ({cell, away: ahead(middle), aside: Math.abs(middle[0] - column)}))
    .filter(one => one.away > 0).sort((one, other) => one.away - other.away || one.aside - other.aside);
  if (next) cursor = next.cell;
  if (next && across) column = centres[cursor][0];
  draw();
}

element("board").onclick = event => {
  if (!known) return;
  const cell = cellAt(event);
  if (cell >= 0) choose(cell);
};
element("board").onkeydown = event => {
  const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  if (!stand || isForBrowser(event)) return;
  if (event.key in ways) walk(...ways[event.key]);
  else if (event.key === "Enter") { if (cursor >= 0 && !event.repeat) choose(cursor); }
  else if (event.key === "Escape") { chosen = []; draw(); }
  else return;
  event.preventDefault();
};
element("undo").onclick = undo;
element("hint").onclick = hint;
element("stop").onclick = () => { pause(!paused); goOn(); };
element("share").onclick = async () => {
  try {
    await navigator.clipboard.writeText(link());
    tell("The link is copied.");
  } catch {  // browsers let only pages of this machine, and such over https, do that
    element("link").hidden = false;
    element("link").value = link();
    element("link").select();
    tell("Copy the link from the field below.");
  }
};
element("config").onchange = () => drawPlayers(element("config").value);
element("new").onsubmit = event => {
  event.preventDefault();
  game.config = element("config").value;
  game.players = [...document.querySelectorAll("#players input")].map(input => input.value.trim() || YOU);
  game.moves = [];
  start();
};

function drawPlayers(key) {
  element("players").replaceChildren(...Array.from({length: configOf(key).seats}, (_, seat) => {
    const input = document.createElement("input");
    input.setAttribute("list", "names"); input.setAttribute("aria-label", `player of seat ${seat + 1}`);
    input.value = game.players[seat] ?? "heuristic"; input.size = 14;
    input.style.borderLeft = `.5rem solid ${SEAT_COLOURS[seat]}`;
    return input;
  }));
}

async function begin() {
  world = await (await fetch("boards")).json();
  element("config").replaceChildren(...world.configs.map(one => new Option(one.key)));
  element("names").replaceChildren(...[YOU, ...world.players].map(name => new Option(name)));
  window.onhashchange = open;
  open();
}
begin().catch(() => tell("The server cannot be reached."));
