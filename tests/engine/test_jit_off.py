"""The same code without the compiler plays the same games, byte for byte."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numba

from rr_engine.game import Game
from tests.engine.play import choose, random_style

GAMES = (("hex8_2p", 200), ("hex8_4p", 200), ("square8_3p", 200), ("square19_2p", 60), ("hexagonal_3p", 60))
ROOT = Path(__file__).parents[2]


def digest_of_games() -> str:
    """A digest over every state and legal list of a few games, the long ones not to their end."""
    digest = hashlib.sha256()
    for key, decisions in GAMES:
        rng = random.Random(key)
        style = random_style(rng)
        game = Game(key)
        while not game.is_over and len(game.moves_played) < decisions:
            digest.update(game.state.tobytes() + game.legal_moves().tobytes())
            game.play(choose(game, rng, style))
        digest.update(game.state.tobytes())
    return digest.hexdigest()


def test_compiled_and_plain_kernels_give_the_same_bytes():
    code = """import numba; from tests.engine import test_jit_off
assert numba.config.DISABLE_JIT; print(test_jit_off.digest_of_games())"""
    for disabled in {"1", "0"} - {str(int(numba.config.DISABLE_JIT))}:
        environ = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        code = code if disabled == "1" else code.replace("assert", "assert not")
        other = subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, text=True)
        assert other.stdout.strip() == digest_of_games(), other.stderr
