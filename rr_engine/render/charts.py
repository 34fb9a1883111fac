"""Charts as SVG texts, for any background, in colours that the colour-blind tell apart: curves by matplotlib, bars."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
_GREY = "#888888"  # stands for the colour of what is read, which is one that light and dark pages let be read
_READ = "<style>.chart{color:#555}@media(prefers-color-scheme:dark){.chart{color:#bbb}}</style>"
_INCHES = (4.6, 2.5)
_MARGINS = {"left": 0.18, "right": 0.97, "bottom": 0.18, "top": 0.9}
_DOTTED = 24  # points of a curve; more of them are a line without dots
_QUOTED, _LONG_NUMBER = re.compile(r'"[^"]*"'), re.compile(r"(\d+\.\d\d)\d+")  # what is not quoted is read
_BAR, _FROM, _ROW, _WIDE = 440, 100, 38, 600  # pixels: of the longest bar, where it begins, from bar to bar, in all
_TOLD, _NOTICED = 96, 52  # characters that fit below a bar, and in a notice
_ONE_AT_ONCE = threading.Lock()  # what matplotlib is set to holds for all threads


@dataclass(frozen=True)
class Curve:
    """Points of one thing, with an interval each if it has some."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def chart(title: str, curves: Sequence[Curve], *, across: str, up: str) -> str:
    """An SVG of curves over one axis, `across` and `up` its labels; the same curves give the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with (
        _ONE_AT_ONCE,
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ringrift", "font.size": 8, "text.color": _GREY}),
    ):
        figure = Figure(figsize=_INCHES)
        figure.subplots_adjust(**_MARGINS)
        axes = figure.subplots()
        for curve, colour in zip(curves, COLOURS, strict=False):
            marker = "o" if len(curve.x) <= _DOTTED else None
            axes.plot(curve.x, curve.y, color=colour, marker=marker, markersize=3, linewidth=1.3, label=curve.name)
            if curve.low is not None and curve.high is not None:
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(values := {value for curve in curves for value in curve.y}) == 1:  # no axis of trifles
            [value] = values
            axes.set_ylim(value - 1 if value else 0, value + 1)
        axes.patch.set_alpha(0)
        axes.grid(color=_GREY, alpha=0.25, linewidth=0.5)
        axes.tick_params(colors=_GREY)
        axes.xaxis.label.set_color(_GREY)
        axes.yaxis.label.set_color(_GREY)
        for side in axes.spines.values():
            side.set_color(_GREY)
        if len(curves) > 1:
            axes.legend(frameon=False, fontsize=7)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return _readable(_QUOTED.sub(lambda found: _LONG_NUMBER.sub(r"\1", found[0]), text[text.index("<svg") :]))


def _readable(svg: str) -> str:
    """A chart whose grey is the colour of what is read on the page around it."""
    head, _, rest = svg.partition(">")
    return f'{head} class="chart">{_READ}{rest}'.replace(_GREY, "currentColor")


def notice(text: str) -> str:
    """An SVG that says something in place of a chart."""
    return _readable(
        '<svg xmlns="http://www.w3.org/2000/svg" width="331" height="40" viewBox="0 0 331 40" font-family="sans-serif" '
        f'font-size="12" fill="{_GREY}"><title>{escape(text)}</title>'
        f'<text x="8" y="24">{escape(_cut(text, _NOTICED))}</text></svg>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Bar:
    """A share of a whole, what of, and a word on it."""

    name: str
    share: float  # from 0 to 1
    told: str


def bar_chart(bars: Sequence[Bar]) -> str:
    """An SVG with two lines per share: its name, a bar as long as it is large, its percentage; what is told of it."""
    most = max((bar.share for bar in bars), default=0) or 1
    lines: list[str] = []
    for index, bar in enumerate(bars):
        foot, length = _ROW * index + 15, _BAR * bar.share / most
        lines.append(
            f'<text x="4" y="{foot}">{escape(bar.name)}</text>'
            f'<rect x="{_FROM}" y="{foot - 10}" width="{length:.1f}" height="12" fill="{COLOURS[0]}"/>'
            f'<text x="{_FROM + length + 6:.1f}" y="{foot}">{bar.share:.1%}</text>'
            f'<text x="{_FROM}" y="{foot + 15}" font-size="10">{escape(_cut(bar.told, _TOLD))}'
            f"<title>{escape(bar.told)}</title></text>"
        )
    high = _ROW * len(bars)
    return _readable(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDE}" height="{high}" viewBox="0 0 {_WIDE} {high}" '
        f'font-family="sans-serif" font-size="12" fill="{_GREY}">{"".join(lines)}</svg>'
    )
