"""Settings: defaults, the four sources in order, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from rr_engine import settings
from rr_engine.errors import ConfigError
from rr_engine.settings import GateSettings, PlanSettings, SearchSettings, Settings, VaultSettings

TINY = Path(__file__).parents[1] / "data" / "tiny.toml"


def write_toml(folder, text):
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_when_nothing_is_said():
    assert settings.load(environ={}) == Settings()


def test_defaults_themselves_pass_the_checks():
    whole = {name: vars(section) for name, section in vars(Settings()).items()}
    assert settings.load(environ={}, overrides=whole) == Settings()


def test_each_source_hides_the_ones_below(tmp_path):
    path = write_toml(tmp_path, "[selfplay]\ngames = 2\nshard_games = 2\nseed = 2\n")
    environ = {"RR_SELFPLAY__GAMES": "3", "RR_SELFPLAY__SHARD_GAMES": "3"}
    loaded = settings.load(path, environ=environ, overrides={"selfplay": {"games": 4}}).selfplay
    assert (loaded.games, loaded.shard_games, loaded.seed) == (4, 3, 2)
    assert loaded.temperature == Settings().selfplay.temperature


def test_file_named_by_the_environment_and_an_argument_before_it(tmp_path):
    path = write_toml(tmp_path, "[network]\nblocks = 7\n")
    assert settings.load(environ={"RR_SETTINGS": str(path)}).network.blocks == 7
    assert settings.load(TINY, environ={"RR_SETTINGS": str(path)}).network.blocks == 1


def test_tiny_preset_is_valid():
    assert settings.load(TINY, environ={}).selfplay.games < 100


def test_variables_of_others_are_left_alone():
    assert settings.load(environ={"RR_VAULT": "data", "RR_TRACES": "x", "R__GAMES": "x", "PATH": "bin"}) == Settings()


@pytest.mark.parametrize(
    "name", ["RR_MATHC__SEED", "RR_match__SEED", "RR___SEED", "RR_X__Y__Z", "RR_" + "X" * 10**5 + "__Y"]
)
def test_a_variable_of_no_section_is_refused_and_the_sections_named(name):
    with pytest.raises(ConfigError, match=r"names no section of the settings: SELFPLAY, .*MATCH, .*VAULT") as refusal:
        settings.load(environ={name: "1"})
    assert name[:20] in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_a_whole_number_may_stand_for_a_fraction():
    assert settings.load(environ={}, overrides={"gate": {"elo1": 40}}).gate.elo1 == 40.0


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("selfplay.gmaes", 3, "shard_games"),
        ("selfpaly", {"games": 3}, "selfplay"),
        ("selfplay", 3, "a table of games"),
        ("selfplay.shard_games", "many", "a whole number at least 1"),
        ("selfplay.shard_games", "20", "a whole number at least 1"),
        ("selfplay.shard_games", 2.5, "a whole number at least 1"),
        ("selfplay.shard_games", True, "a whole number at least 1"),
        ("selfplay.shard_games", 0, "a whole number at least 1"),
        ("selfplay.temperature_share", 1.5, "a number between 0 and 1"),
        ("dataset.max_age_hours", float("inf"), "a number at least 0"),
        ("dataset.max_age_hours", float("nan"), "a number at least 0"),
    ],
)
def test_refusals_name_key_value_and_what_is_allowed(key, value, allowed):
    section, _, name = key.partition(".")
    with pytest.raises(ConfigError) as refusal:
        settings.load(environ={}, overrides={section: {name: value} if name else value})
    assert f"{key} = {value!r}" in str(refusal.value)
    assert allowed in str(refusal.value)


@pytest.mark.parametrize(
    ("variable", "text"),
    [("RR_SELFPLAY__GMAES", "3"), ("RR_SELFPLAY__GAMES", "many"), ("RR_SELFPLAY__GAMES", "-1"), ("RR_GATE__", "1")],
)
def test_refused_from_the_environment_too(variable, text):
    with pytest.raises(ConfigError):
        settings.load(environ={variable: text})


def test_a_table_over_a_value_and_a_value_over_a_table(tmp_path):
    path = write_toml(tmp_path, "selfplay = 3\n")
    assert settings.load(path, environ={"RR_SELFPLAY__GAMES": "5"}).selfplay.games == 5
    with pytest.raises(ConfigError, match="selfplay = 3"):
        settings.load(TINY, environ={}, overrides={"selfplay": 3})


@pytest.mark.parametrize("name", ["pairs", "anchor_pairs"])
def test_matches_too_short_to_master_anybody_are_refused(name):
    with pytest.raises(ConfigError, match=f"match.{name} = 49 gives 98 games, fewer than .*mastered_games = 100"):
        settings.load(environ={}, overrides={"match": {name: 49}})
    assert getattr(settings.load(environ={}, overrides={"match": {name: 50}}).match, name) == 50


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError, match=r"network\.blocks.*; .*gate\.alpha"):
        settings.load(environ={}, overrides={"network": {"blocks": 0}, "gate": {"alpha": 2}})


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no settings file"):
        settings.load(tmp_path / "absent.toml", environ={})
    with pytest.raises(ConfigError, match="is not TOML"):
        settings.load(write_toml(tmp_path, "[selfplay\n"), environ={})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        settings.load(environ={"RR_SETTINGS": str(tmp_path)})
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        settings.load(environ={"RR_SETTINGS": str(TINY / "below")})


def test_a_number_longer_than_python_reads_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not TOML"):
        settings.load(write_toml(tmp_path, f"[selfplay]\ngames = {'9' * 5000}\n"), environ={})
    with pytest.raises(ConfigError, match=r"selfplay.games = '999.* is refused") as refusal:
        settings.load(environ={"RR_SELFPLAY__GAMES": "9" * 5000})
    assert len(str(refusal.value)) < 400
    with pytest.raises(ConfigError, match=r"selfplay.games = .* is refused"):
        settings.load(environ={"RR_SELFPLAY__GAMES": "[" * 10**5})


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (GateSettings, {"elo0": 50.0}),
        (GateSettings, {"alpha": 0.5}),
        (VaultSettings, {"pause_full": 0.99}),
    ],
)
def test_bounds_out_of_order_are_refused_in_code_and_in_files(section, values):
    with pytest.raises(ConfigError):
        section(**values)
    name = section.__name__.removesuffix("Settings").lower()
    with pytest.raises(ConfigError, match=name):
        settings.load(environ={}, overrides={name: values})


def test_no_config_can_starve_and_none_can_take_all():
    assert 12 * PlanSettings().min_share <= 1 <= 12 * PlanSettings().max_share


def test_selfplay_searches_as_matches_do_but_for_what_it_says_itself():
    loaded = settings.load(environ={}, overrides={"search": {"c_scale": 0.5}, "selfplay": {"win_cells": 9}})
    assert loaded.selfplay_search == SearchSettings(c_scale=0.5, win_cells=9)
    assert loaded.search == SearchSettings(c_scale=0.5, win_cells=64)


def test_importing_settings_needs_the_standard_library_only():
    code = "import sys, rr_engine.settings; print(sorted({'pydantic', 'numpy', 'numba'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
