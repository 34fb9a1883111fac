// The page of a replay: which decision is shown, and what is said of it.

const data = JSON.parse(document.getElementById("data").textContent);
const element = id => document.getElementById(id);
const end = data.frames.length - 1;
const boards = [];  // what is on each cell before each decision
const chances = [];  // as last known
for (const frame of data.frames) {
  const board = boards.length ? [...boards.at(-1)] : data.place.centres.map(() => "");
  for (const [cell, token] of Object.entries(frame.new)) board[cell] = token;
  boards.push(board);
  chances.push(frame.chances ?? chances.at(-1));
}
let at = 0, timer = 0;

function show(wanted) {
  at = Math.min(Math.max(wanted, 0), end);
  const frame = data.frames[at];
  const last = at ? data.frames[at - 1].cells : [];
  const heat = element("heat").checked ? frame.heat : {};
  element("board").innerHTML = boardSvg(data.place, boards[at], {last, heat});
  element("at").value = at;
  element("says").textContent = said(frame);
  element("board").setAttribute("aria-label", element("says").textContent);
  element("chances").innerHTML = (chances[at] ?? []).map((chance, seat) =>
    `<span style="width:${100 * chance}%;background:${data.colours[seat]}" ` +
    `title="${Math.round(100 * chance)} %"></span>`).join("");
  element("seats").innerHTML = "<tr><th>seat<th>hand<th>eliminated<th>territory<th>chance</tr>" +
    data.colours.map((colour, seat) => row(frame, colour, seat)).join("");
  document.querySelectorAll("#seats .name").forEach((cell, seat) => { cell.textContent = nameAt(seat); });
}

function nameAt(seat) {
  const swapped = data.swapped_at !== null && at > data.swapped_at;
  return data.names[swapped ? 1 - seat : seat];
}

function said(frame) {
  const number = `${at} of ${end}: `;
  if (at < end) return `${number}seat ${frame.seat + 1}, phase ${frame.phase}, plays ${frame.move}`;
  return data.result ? `${number}seat ${data.result.winner + 1} wins by ${data.result.end}` : `${number}not over`;
}

function row(frame, colour, seat) {
  const [hand, gone, land] = frame.counts.map(numbers => numbers[seat]);
  const chance = chances[at] ? `${Math.round(100 * chances[at][seat])} %` : "-";
  return `<tr class="${frame.seat === seat ? "now" : ""}"><td><span class="dot" style="background:${colour}"></span>` +
    `<span class="name"></span><td>${hand}<td>${gone} of ${data.goals.elim}<td>${land} of ${data.goals.terr}<td>${chance}`;
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => at < end ? show(at + 1) : play(false), 500) : 0;
  element("play").innerHTML = on ? "&#9208;" : "&#9654;";
}

const steps = {
  first: () => show(0), back: () => show(at - 1), on: () => show(at + 1), end: () => show(end),
  play: () => play(!timer),
};
for (const [id, step] of Object.entries(steps)) element(id).onclick = step;
const keys = {Home: "first", ArrowLeft: "back", ArrowRight: "on", End: "end", " ": "play"};
document.addEventListener("keydown", event => {
  if (!(event.key in keys) || event.target.matches("button, input[type=checkbox]") && event.key === " ") return;
  event.preventDefault();
  steps[keys[event.key]]();
});
element("at").max = end;
element("at").oninput = () => show(Number(element("at").value));
element("heat").onchange = () => show(at);
element("about").textContent = data.about;
for (const moment of data.moments) {
  const button = document.createElement("button");
  button.textContent = `${moment.at}: ${moment.what}`;
  button.onclick = () => show(moment.at);
  element("moments").append(button);
}
show(0);
