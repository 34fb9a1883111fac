"""Curves as SVG texts, by matplotlib: on any background, in colours that the colour-blind tell apart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
_GREY = "#888888"
_INCHES = (4.6, 2.5)


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

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ringrift", "font.size": 8, "text.color": _GREY}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        for curve, colour in zip(curves, COLOURS, strict=False):
            axes.plot(curve.x, curve.y, color=colour, marker="o", markersize=3, linewidth=1.3, label=curve.name)
            if curve.low is not None and curve.high is not None:
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    return text[text.index("<svg") :]
