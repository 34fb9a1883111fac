"""Kinds of settings: ranges of numbers and forms of texts, told to people and to pydantic."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


_LARGEST = 2**63  # what is longer has no room in an array, and the longest whole numbers not even in a float


@dataclass(frozen=True)
class Between:
    """The range of a number, both ends allowed; without `high` it is open, yet 64 bits hold it."""

    low: float
    high: float | None = None

    def __str__(self) -> str:
        return f"at least {self.low}" if self.high is None else f"between {self.low} and {self.high}"

    def check(self, value: float) -> float:
        """Return `value` if it is finite and in range; raises ValueError, to which pydantic adds the key."""
        if (
            (isinstance(value, int) or math.isfinite(value))
            and abs(value) < _LARGEST
            and self.low <= value
            and (self.high is None or value <= self.high)
        ):
            return value
        raise ValueError(f"must be {self}")

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic, while it reads the annotation, to call `check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class Form:
    """What a text must look like, and how people are told."""

    pattern: str
    words: str

    def __str__(self) -> str:
        return self.words

    def check(self, text: str) -> str:
        """Return `text` if all of it fits the pattern; raises ValueError, to which pydantic adds the key."""
        if re.fullmatch(self.pattern, text):
            return text
        raise ValueError(f"must be {self}")

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic, while it reads the annotation, to call `check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class Table:
    """A table whose keys have a form and whose values a range or a form."""

    keys: Form
    values: Between | Form
    example: str

    def __str__(self) -> str:
        values = f"a number {self.values}" if isinstance(self.values, Between) else self.values
        return f"a table from {self.keys} to {values}, such as {self.example}"

    def check(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `table` if every key and value fits; raises ValueError, to which pydantic adds the key."""
        for key, value in table.items():
            self.keys.check(key)
            self.values.check(value)
        return table

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic, while it reads the annotation, to call `check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


Count = Annotated[int, Between(1)]
Natural = Annotated[int, Between(0)]
Share = Annotated[float, Between(0, 1)]
Amount = Annotated[float, Between(0)]
Seconds = Annotated[float, Between(0.01, 86_400)]
Rate = Annotated[float, Between(0, 1)]
Factor = Annotated[float, Between(0, 10)]
Temperature = Annotated[float, Between(0, 10)]
Elo = Annotated[float, Between(-1000, 1000)]
Anchor = Annotated[str, Form(r"random|greedy|heuristic", "random, greedy or heuristic")]
Role = Annotated[str, Form(r"coordinator|trainer|selfplay|ephemeral", "coordinator, trainer, selfplay or ephemeral")]
Text = Annotated[str, Form(r"[^\x00-\x1f]*", "a text on one line")]
WarmStart = Annotated[str, Form(r"auto|none|[a-z]+[0-9]*_[234]p", "auto, none or a config such as hex8_2p")]
_ADDRESSES = Form(r"[a-z0-9]+://\S*", "the beginning of an address")
Limits = Annotated[Mapping[str, float], Table(_ADDRESSES, Between(0.001), '{"s3://" = 20}')]
Profiles = Annotated[
    Mapping[str, str],
    Table(_ADDRESSES, Form(r"[\w.-]{1,64}", "the name of a profile"), '{"s3://backup" = "backup"}'),
]

Value = TypeVar("Value")


def entry_of(table: Mapping[str, Value], url: str) -> tuple[str, Value] | None:
    """Of a table by the beginnings of addresses the entry for `url`, the longest that fits; None if none does."""
    key = max((key for key in table if url.startswith(key)), key=len, default=None)
    return None if key is None else (key, table[key])
