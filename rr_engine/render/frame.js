// What pages with a board have in common: how the seats stand, and which keys are left to the browser.

const element = id => document.getElementById(id);

// seats: [{name, hand, eliminated, territory}]; now: the seat that decides; chances: to win by seat, where they are known.
function showSeats(seats, {goals, now, chances}) {
  const chance = seat => chances ? `${Math.round(100 * chances[seat])} %` : "-";
  element("chances").innerHTML = (chances ?? []).map((share, seat) =>
    `<span style="width:${100 * share}%;background:${SEAT_COLOURS[seat]}" title="${chance(seat)}"></span>`).join("");
  element("seats").innerHTML = "<tr><th>seat<th>hand<th>eliminated<th>territory<th>chance</tr>" + seats.map((one, seat) =>
    `<tr class="${now === seat ? "now" : ""}"><td><span class="dot" style="background:${SEAT_COLOURS[seat]}"></span>` +
    `<span class="name"></span><td>${one.hand}<td>${one.eliminated} of ${goals.elim}` +
    `<td>${one.territory} of ${goals.terr}<td>${chance(seat)}</tr>`).join("");
  document.querySelectorAll("#seats .name").forEach((cell, seat) => { cell.textContent = seats[seat].name; });
}

const isForBrowser = event => event.altKey || event.ctrlKey || event.metaKey;
