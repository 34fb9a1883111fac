"""Every number one may change. Knows no file but the one TOML it is given.

The sections are plain dataclasses, so importing them needs the standard library only. `load` is the door: it checks
keys, types and ranges. Values built in code are trusted, but for the order of their bounds.
"""

from rr_engine.settings.loading import FILE_VARIABLE, load, parse
from rr_engine.settings.sections import (
    AlertSettings,
    CrashSettings,
    CurriculumSettings,
    DatasetSettings,
    GateSettings,
    IdleSettings,
    MatchSettings,
    MirrorSettings,
    NetworkSettings,
    NodeSettings,
    PlanSettings,
    QualitySettings,
    RegressionSettings,
    RetentionSettings,
    SearchSettings,
    SelfplaySettings,
    Settings,
    TrainingSettings,
    VaultSettings,
)

__all__ = [
    "FILE_VARIABLE",
    "AlertSettings",
    "CrashSettings",
    "CurriculumSettings",
    "DatasetSettings",
    "GateSettings",
    "IdleSettings",
    "MatchSettings",
    "MirrorSettings",
    "NetworkSettings",
    "NodeSettings",
    "PlanSettings",
    "QualitySettings",
    "RegressionSettings",
    "RetentionSettings",
    "SearchSettings",
    "SelfplaySettings",
    "Settings",
    "TrainingSettings",
    "VaultSettings",
    "load",
    "parse",
]
