"""Checkpoints as players: found by hash, by pointer and by file, and refused where they do not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rr_engine.boards import Config
from rr_engine.errors import DataError, PlayerError, VaultError
from rr_engine.nn import checkpoint as checkpoints
from rr_engine.nn.checkpoint import Checkpoint, save_checkpoint
from rr_engine.nn.network import Network
from rr_engine.players import Table, player
from rr_engine.players.stored import champion_of, match_player, selfplay_player
from rr_engine.settings import MatchSettings, NetworkSettings, Settings
from rr_engine.vault import Card, Vault

HEX, SQUARE = Config.parse("hex8_2p"), Config.parse("square8_2p")
SETTINGS = Settings(match=MatchSettings(simulations=3))


def network(config: Config, seed: int) -> bytes:
    torch.manual_seed(seed)
    settings = NetworkSettings(channels=8, blocks=1)
    return save_checkpoint(Checkpoint(config, settings, Network(settings)))


def kept(vault: Vault, config: Config, seed: int) -> Card:
    """An untrained network in the vault."""
    data = network(config, seed)
    return vault.put("checkpoint", config.key, data, suffix=".safetensors", producer="test", rows=1, schema_version=1)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(str(tmp_path / "vault"))


def test_one_checkpoint_plays_the_same_by_hash_pointer_and_file(vault: Vault, tmp_path: Path):
    card = kept(vault, HEX, 1)
    kept(vault, HEX, 2)
    vault.write_pointer(card, facts={"proven": False})
    path = tmp_path / "a:b.safetensors"
    path.write_bytes(vault.get(card))
    names = (f"checkpoint:{card.sha256[:8]}", f"checkpoint:{card.sha256}:3", "champion", "champion:3", f"file:{path}:3")
    agents = [player(name, HEX, settings=SETTINGS, vault=vault, by_hand=True) for name in names]
    assert [agent.name for agent in agents] == [f"checkpoint:{card.sha256[:12]}:3"] * 4 + [f"file:{path}:3"]
    assert len({agent.digest for agent in agents}) == 1
    positions = Table(HEX, np.arange(1, 9, dtype=np.uint64)).positions(1.0)
    moves = [agent.choose(positions).moves.tolist() for agent in agents]
    assert all(found == moves[0] for found in moves)
    again = player(agents[0].name, HEX, vault=vault)
    assert again.digest == agents[0].digest
    others = [
        player(name, HEX, settings=SETTINGS, vault=vault, by_hand=True)
        for name in ("champion:0", "champion:4", f"file:{path}")
    ]
    assert [agent.digest == agents[0].digest for agent in others] == [False, False, True]


def test_selfplay_and_match_are_told_apart(vault: Vault):
    card = kept(vault, HEX, 1)
    settings = replace(SETTINGS, match=MatchSettings(simulations=SETTINGS.selfplay.simulations))
    assert selfplay_player(vault, card, settings).digest != match_player(vault, card, settings).digest


def test_who_is_not_there_is_refused_with_what_to_do(vault: Vault):
    assert champion_of(vault, HEX) is None
    with pytest.raises(PlayerError, match=r"hex8_2p has no champion in .*make run CONFIG=hex8_2p"):
        player("champion", HEX, vault=vault)
    digits = kept(vault, HEX, 1).sha256[:10]
    with pytest.raises(
        PlayerError, match=f"no checkpoint of square8_2p .* begins with {digits}; there is one of hex8_2p"
    ):
        player(f"checkpoint:{digits}", SQUARE, vault=vault)
    with pytest.raises(PlayerError, match="no checkpoint of hex8_2p in .* begins with 00000000$"):
        player("checkpoint:00000000", HEX, vault=vault)


def test_a_hash_that_fits_two_is_refused(vault: Vault, monkeypatch: pytest.MonkeyPatch):
    card = kept(vault, HEX, 1)
    monkeypatch.setattr(vault, "cards", lambda *_: [card, replace(card, sha256=card.sha256[:9] + "0" * 55)])
    with pytest.raises(PlayerError, match="2 checkpoints of hex8_2p begin with .*: write more digits"):
        player(f"checkpoint:{card.sha256[:9]}", HEX, vault=vault)


def test_what_does_not_fit_or_is_damaged_is_refused(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "network.safetensors"
    path.write_bytes(network(HEX, 1))
    with pytest.raises(DataError, match="network.safetensors: checkpoint has config 'hex8_2p', 'square8_2p' is needed"):
        player(f"file:{path}", SQUARE, by_hand=True)
    path.write_bytes(network(HEX, 1)[:-100])
    with pytest.raises(DataError, match="network.safetensors: not a readable checkpoint"):
        player(f"file:{path}", HEX, by_hand=True)
    card = kept(vault, HEX, 1)
    monkeypatch.setattr(checkpoints, "FEATURE_VERSION", 999)
    with pytest.raises(DataError, match="feature_version .*999 is needed"):
        player(f"checkpoint:{card.sha256[:8]}", HEX, vault=vault)
    vault.path(card).chmod(0o644)
    vault.path(card).write_bytes(b"damaged")
    with pytest.raises(VaultError, match="expected"):
        player(f"checkpoint:{card.sha256[:8]}", HEX, vault=vault)
