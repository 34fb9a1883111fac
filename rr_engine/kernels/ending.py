"""How a game ends and who stands where (rules 6)."""

from __future__ import annotations

from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import (
    END_ELIM,
    END_LAST3,
    END_SOLE,
    END_STALE_ACTOR,
    END_STALE_ELIM,
    END_STALE_MARK,
    END_STALE_TERR,
    END_TERR,
    NONE_YET,
    OVER,
)
from rr_engine.kernels.placement import has_placement
from rr_engine.kernels.reach import has_mobile_stack


@kernel
def is_out(s, seat):
    """Whether `seat` has no ring left, in hand or in any stack."""
    return s["hand"][seat] == 0 and s["on_board"][seat] == 0


@kernel
def note_out(s):
    """Write the present turn into `out_turn` of every seat that has newly run out of rings."""
    for seat in range(s["seats"]):
        if s["out_turn"][seat] < 0 and is_out(s, seat):
            s["out_turn"][seat] = s["turn"]


@kernel
def finish(s, winner, end):
    """The game is over."""
    note_out(s)
    s["winner"] = winner
    s["end"] = end
    s["phase"] = OVER
    s["active"] = -1
    s["acted"] = 0
    s["rec_turn"] = 0


@kernel
def _territory_winner(s):
    """Rules 6.2: enough territory and more than all others together, else -1."""
    total = 0
    for seat in range(s["seats"]):
        total += s["terr"][seat]
    for seat in range(s["seats"]):
        if s["terr"][seat] >= s["terr_goal"] and 2 * s["terr"][seat] > total:
            return seat
    return -1


@kernel
def _sole_survivor(s):
    """Rules 6.3 [C9]: all stacks belong to one seat and every other seat is out, else -1."""
    survivor = -1
    for seat in range(s["seats"]):
        if not is_out(s, seat):
            if survivor >= 0:
                return -1
            survivor = seat
    if survivor >= 0 and s["stacks"][survivor] > 0:
        return survivor
    return -1


@kernel
def _score(s, seat, rung):
    """What a rung of the stalemate ladder compares: 0 territory, 1 elimination, 2 markers."""
    if rung == 0:
        return s["terr"][seat]
    if rung == 1:
        return s["elim"][seat] + (s["hand"][seat] if s["hand_counts"] else 0)
    return s["markers"][seat]


@kernel
def _unique_leader(s, rung):
    """The only seat with the highest score above 0 on a rung, else -1 [C10]."""
    best = 0
    leader = -1
    for seat in range(s["seats"]):
        score = _score(s, seat, rung)
        if score > best:
            best = score
            leader = seat
        elif score == best:
            leader = -1
    return leader


@kernel
def _settle_stalemate(g, s):
    """Rules 6.5 on a board without stacks; does nothing while some seat can still place."""
    any_hand = False
    for seat in range(s["seats"]):
        if has_placement(g, s, seat):
            return
        any_hand = any_hand or s["hand"][seat] > 0
    s["hand_counts"] = 1 if any_hand else 0
    for rung in range(3):
        leader = _unique_leader(s, rung)
        if leader >= 0:
            end = END_STALE_TERR if rung == 0 else (END_STALE_ELIM if rung == 1 else END_STALE_MARK)
            finish(s, leader, end)
            return
    finish(s, s["player"], END_STALE_ACTOR)


@kernel
def check_end_of_turn(g, s):
    """Rules 6.1, 6.2, 6.3, 6.5 in that order; finishes the game if one holds."""
    for seat in range(s["seats"]):
        if s["elim"][seat] >= s["elim_goal"]:
            finish(s, seat, END_ELIM)
            return
    winner = _territory_winner(s)
    if winner >= 0:
        finish(s, winner, END_TERR)
        return
    winner = _sole_survivor(s)
    if winner >= 0:
        finish(s, winner, END_SOLE)
        return
    stacks = 0
    for seat in range(s["seats"]):
        stacks += s["stacks"][seat]
    if stacks == 0:
        _settle_stalemate(g, s)


@kernel
def has_real_action(g, s, seat):
    """Whether `seat` could place, move or capture now (rules 6.4 "real")."""
    return has_placement(g, s, seat) or has_mobile_stack(g, s, seat)


@kernel
def _close_round(s, active):
    """A round is complete: count it for the seat that alone had real actions."""
    exclusive = -1
    acting = 0
    for seat in range(s["seats"]):
        if active & s["lps_mask"] & (1 << seat):
            exclusive = seat
            acting += 1
    if acting != 1:
        s["lps_count"] = 0
        s["lps_seat"] = -1
    elif exclusive == s["lps_seat"]:
        s["lps_count"] += 1
    else:
        s["lps_seat"] = exclusive
        s["lps_count"] = 1
    s["lps_seen"] = 0
    s["lps_mask"] = 0


@kernel
def tick_last_player_standing(g, s):
    """The clock of rules 6.4 at the start of the mover's turn; finishes the game if the mover stands alone [C7, C8]."""
    mover = s["player"]
    active = NONE_YET  # no seat
    for seat in range(s["seats"]):
        if not is_out(s, seat):
            active |= 1 << seat
    first = s["lps_first"]
    if first < 0 or not active & (1 << first):
        s["lps_first"] = mover
        s["lps_seen"] = 0
        s["lps_mask"] = 0
        if s["lps_seat"] < 0 or not active & (1 << s["lps_seat"]):
            s["lps_count"] = 0
            s["lps_seat"] = -1
    elif mover == first and s["lps_seen"] != 0:
        _close_round(s, active)
    real = has_real_action(g, s, mover)
    s["lps_seen"] = s["lps_seen"] | (1 << mover)
    if real:
        s["lps_mask"] = s["lps_mask"] | (1 << mover)
    else:
        s["lps_mask"] = s["lps_mask"] & ~(1 << mover)
    if not real or s["lps_seat"] != mover or s["lps_count"] < s["lps_rounds"]:
        return
    for seat in range(s["seats"]):
        if seat != mover and active & (1 << seat) and has_real_action(g, s, seat):
            return
    finish(s, mover, END_LAST3)


@kernel
def _stands_before(s, seat, other):
    """Whether `seat` ranks strictly above `other`, neither being the winner (rules 6.6)."""
    for rung in range(3):
        left = _score(s, seat, rung)
        right = _score(s, other, rung)
        if left != right:
            return left > right
    left = s["out_turn"][seat]
    right = s["out_turn"][other]
    if left == right or right < 0:
        return False
    return left < 0 or left > right


@entry
def rank_seats(s, ranks):
    """Fill `ranks[:seats]` of a finished game: winner 1, ties share a rank and the next is skipped (rules 6.6)."""
    for seat in range(s["seats"]):
        ranks[seat] = 1
        if seat == s["winner"]:
            continue
        for other in range(s["seats"]):
            if other == s["winner"] or (other != seat and _stands_before(s, other, seat)):
                ranks[seat] += 1
