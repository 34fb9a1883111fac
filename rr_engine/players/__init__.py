"""Players: they choose moves for many games at once.

    player(name, config, settings=, vault=, by_hand=) -> Player    raises PlayerError, which lists the names, for others
        random  greedy  flat:PLAYOUTS  heuristic[:TEMPERATURE]  search:heuristic:SIMULATIONS  search:uniform:SIMULATIONS
        champion[:SIMULATIONS]  checkpoint:HASH[:SIMULATIONS]  file:PATH[:SIMULATIONS]  external:COMMAND
                                               the last two by hand only: no card may name them
    Player.name, Player.digest                 the digest identifies its behaviour and is stored with its games
    Player.choose(Positions) -> Choice         Choice.moves [games]; Choice.policy [legal moves of all games] or None;
                                               Choice.forfeits: games it loses without a move (outside programs only)

    table = Table(config, seeds)               one game per seed (uint64), all from the start position
    table.running, table.players, table.agents     games going on; per running game: seat to move, who moves
    table.positions(temperature) -> Positions  the running games; Positions.take(indices) for some of them
    table.step(moves)                          one legal move in every running game
    table.drop(games), table.deal(games, seeds)    end games undecided; begin new ones in their places
    table.states, table.histories              per game, finished ones too

A player sits behind a seat and keeps no memory between calls, so it may serve many games and seats; an outside program
follows one game at a time and must be closed (`external.closing`). Checkpoints are found by `players.stored`.
Under the pie rule seats keep their colours and the agents behind them change places: who steps a table asks for
`agents`.
"""

from rr_engine.players.positions import Choice, Positions, best_moves, mixed, sampled_moves
from rr_engine.players.registry import KINDS, Player, player
from rr_engine.players.table import Table

__all__ = ["KINDS", "Choice", "Player", "Positions", "Table", "best_moves", "mixed", "player", "sampled_moves"]
