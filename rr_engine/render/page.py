"""The parts of pages that lie beside this module, and a page made of them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_GAP = re.compile(r"\{\{(\w+)\}\}")  # in a page, for a part of it


@cache
def part(name: str) -> str:
    """A style, a script or a page with gaps, as it lies here."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def framed(title: str, body: str, *, style: str = "") -> str:
    """A whole page that needs nothing else: what every page has around `body`, which is HTML as `title` is."""
    return filled(part("frame.html"), {"title": title, "style": part("page.css") + style, "body": body})


def filled(page: str, parts: dict[str, str]) -> str:
    """A page whose gaps, `{{name}}`, hold the parts of these names; gaps within parts stay."""
    return _GAP.sub(lambda gap: parts[gap[1]], page)
