// The page to play on. It keeps the moves, in its address too; what they lead to and who plays what is asked of the server.

const YOU = "you", LEAST = 0.01;  // share of a hint that is shown on the board
const element = id => document.getElementById(id);
const game = {config: "hex8_2p", players: [YOU, "heuristic"], moves: []};
let world, stand, chosen = [], cursor = -1, hints = {}, paused = false, asked = 0;
let known = false;  // whether `stand` is what the moves have led to: until then nothing can be chosen

async function ask(path, body) {
  const answer = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  return told.answers[0];
}

const position = () => ({config: game.config, moves: game.moves});
const place = () => world.boards[world.configs.find(one => one.key === game.config).board];
const agentAt = seat => game.players[stand.swapped && stand.hand.length === 2 ? 1 - seat : seat];
const isYours = () => known && stand.seat !== null && agentAt(stand.seat) === YOU;

// Where a game stands is all in the address, so a link is the game.
function writeAddress() {
  const words = new URLSearchParams({config: game.config, players: game.players.join(","), moves: game.moves.join(" ")});
  history.replaceState(null, "", "#" + words);
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  if (world.configs.some(one => one.key === words.get("config"))) game.config = words.get("config");
  const seats = world.configs.find(one => one.key === game.config).seats;
  const named = (words.get("players") ?? "").split(",").filter(name => name);
  game.players = Array.from({length: seats}, (_, seat) => named[seat] ?? (seat ? "heuristic" : YOU));
  game.moves = (words.get("moves") ?? "").split(" ").filter(move => move);
}

async function goOn() {
  const mine = ++asked;
  chosen = []; hints = {}; known = false; element("hints").replaceChildren();
  try {
    const now = await ask("legal", {positions: [position()]});
    if (mine !== asked) return;
    stand = now;
    known = true;
    writeAddress();
    draw();
    if (stand.seat === null || isYours() || paused) return;
    const decision = await ask("move", {positions: [position()], player: agentAt(stand.seat), seed: game.moves.length});
    if (mine !== asked) return;
    showChances(decision.chances);
    play(decision.move);
  } catch (error) {
    if (mine === asked) element("says").textContent = error.message;
  }
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
  return {W: "swap seats", M: "move", C: rest === "-" ? "end the chain" : "capture", L: rest.endsWith("+") ? "collapse all of the line" : "collapse part of the line, free",
    E: "eliminate here", T: rest === "-" ? "claim nothing" : "claim this region", F: "eliminate, forced", R: "do not recover"}[kind] ?? move.move;
}

function draw() {
  const chances = element("board").dataset;
  const marks = {last: chosen.length ? chosen : stand.last, targets: [...targets()], heat: hints};
  const board = element("board");
  board.innerHTML = boardSvg(place(), stand.on_cells, marks);
  if (cursor >= 0) {
    const [x, y] = place().centres[cursor];
    board.firstChild.insertAdjacentHTML("beforeend", `<circle cx="${x}" cy="${y}" r="10" stroke="#d55e00" stroke-width="2"/>`);
  }
  chances.seat = stand.seat ?? "over";
  chances.moves = game.moves.length;
  element("says").textContent = said();
  drawChoices();
  drawSeats();
}

function said() {
  if (stand.result) return `${agentAt(stand.result.winner)} wins, seat ${stand.result.winner + 1}, by ${stand.result.end}`;
  const who = isYours() ? "You" : agentAt(stand.seat);
  const phases = {place: "place rings", move: "move a stack", cap: "capture", chain: "capture on", line: "choose a line",
    lelim: "pay for a line", terr: "choose a region", telim: "pay for territory", fe: "eliminate a stack"};
  return `${who}, seat ${stand.seat + 1}: ${phases[stand.phase]}${paused && !isYours() ? " (paused)" : ""}`;
}

// What has no cells, and what shares all of them with another move, is chosen by a button.
function drawChoices() {
  const shown = isYours() ? candidates().filter(move => !move.cells.length || chosen.length && isChosen(move)) : [];
  element("choices").replaceChildren(...shown.map(move => {
    const button = document.createElement("button");
    button.textContent = words(move);
    button.title = move.move;
    button.onclick = () => play(move.move);
    return button;
  }));
}

function drawSeats() {
  element("seats").innerHTML = "<tr><th>seat<th>hand<th>eliminated<th>territory</tr>" + stand.hand.map((hand, seat) =>
    `<tr class="${stand.seat === seat ? "now" : ""}"><td><span class="dot" style="background:${world.colours[seat]}"></span>` +
    `<span class="name"></span><td>${hand}<td>${stand.eliminated[seat]} of ${stand.goals.elim}` +
    `<td>${stand.territory[seat]} of ${stand.goals.terr}</tr>`).join("");
  document.querySelectorAll("#seats .name").forEach((cell, seat) => { cell.textContent = agentAt(seat); });
}

function showChances(chances) {
  element("chances").innerHTML = (chances ?? []).map((chance, seat) =>
    `<span style="width:${100 * chance}%;background:${world.colours[seat]}" title="${Math.round(100 * chance)} %"></span>`).join("");
}

async function hint() {
  const adviser = game.players.find(name => name !== YOU) ?? "heuristic";
  element("hints").textContent = `${adviser} thinks ...`;
  try {
    const told = await ask("evaluate", {positions: [position()], player: adviser});
    showChances(told.chances);
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
    draw();
  } catch (error) { element("hints").textContent = error.message; }
}

// Back to a decision of yours; where only others play, one back, and they rest.
async function undo() {
  const mine = ++asked, yours = game.players.includes(YOU);
  while (game.moves.length && mine === asked) {
    game.moves.pop();
    stand = await ask("legal", {positions: [position()]});
    known = true;
    if (!yours || isYours()) break;
  }
  if (!yours) pause(true);
  goOn();
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

function walk(dx, dy) {
  if (cursor < 0) cursor = Math.floor(place().centres.length / 2);
  const [x, y] = place().centres[cursor];
  const ahead = place().centres.map(([a, b], cell) => [cell, (a - x) * dx + (b - y) * dy, Math.abs((a - x) * dy) + Math.abs((b - y) * dx)])
    .filter(([, along]) => along > 1).sort((one, other) => one[1] + 2 * one[2] - other[1] - 2 * other[2]);
  if (ahead.length) cursor = ahead[0][0];
  element("cell").textContent = `cell ${cursor}: ${stand.on_cells[cursor] || "empty"}`;
  draw();
}

element("board").onclick = event => { const cell = cellAt(event); if (cell >= 0) choose(cell); };
element("board").onkeydown = event => {
  const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  if (event.key in ways) walk(...ways[event.key]);
  else if (event.key === "Enter" && cursor >= 0) choose(cursor);
  else if (event.key === "Escape") { chosen = []; draw(); }
  else return;
  event.preventDefault();
};
element("undo").onclick = undo;
element("hint").onclick = hint;
element("stop").onclick = () => { pause(!paused); goOn(); };
element("share").onclick = async () => { await navigator.clipboard.writeText(location.href); element("says").textContent = "The link is copied."; };
element("config").onchange = () => drawPlayers(element("config").value);
element("new").onsubmit = event => {
  event.preventDefault();
  game.config = element("config").value;
  game.players = [...document.querySelectorAll("#players input")].map(input => input.value.trim() || YOU);
  game.moves = []; cursor = -1;
  pause(false);
  showChances(null);
  goOn();
};

function drawPlayers(key) {
  const {seats} = world.configs.find(one => one.key === key);
  element("players").replaceChildren(...Array.from({length: seats}, (_, seat) => {
    const input = document.createElement("input");
    input.setAttribute("list", "names"); input.setAttribute("aria-label", `player of seat ${seat + 1}`);
    input.value = game.players[seat] ?? "heuristic"; input.size = 14;
    input.style.borderLeft = `.5rem solid ${world.colours[seat]}`;
    return input;
  }));
}

async function begin() {
  world = await (await fetch("boards")).json();
  element("config").replaceChildren(...world.configs.map(one => new Option(one.key)));
  for (const name of [YOU, "champion", "champion:32", "heuristic", "search:heuristic:64", "greedy", "random"])
    element("names").append(new Option(name));
  readAddress();
  element("config").value = game.config;
  drawPlayers(game.config);
  window.onhashchange = () => { readAddress(); goOn(); };
  await goOn();
}
begin();
