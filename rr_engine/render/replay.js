// The page of a replay: which decision is shown, and what is said of it.

const data = JSON.parse(document.getElementById("data").textContent);
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
  const [hand, gone, land] = frame.counts;
  const seats = hand.map((rings, seat) => ({name: nameAt(seat), hand: rings, eliminated: gone[seat], territory: land[seat]}));
  showSeats(seats, {goals: data.goals, now: frame.seat, chances: chances[at]});
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

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => at < end ? show(at + 1) : play(false), 500) : 0;
  element("play").innerHTML = on ? "&#9208;" : "&#9654;";
  element("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

const steps = {
  first: () => show(0), back: () => show(at - 1), on: () => show(at + 1), end: () => show(end),
  play: () => play(!timer),
};
for (const [id, step] of Object.entries(steps)) element(id).onclick = step;
const keys = {Home: "first", ArrowLeft: "back", ArrowRight: "on", End: "end", " ": "play"};
document.addEventListener("keydown", event => {
  if (!(event.key in keys) || isForBrowser(event)) return;
  if (event.target.matches("button, input[type=checkbox]") && event.key === " ") return;
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
