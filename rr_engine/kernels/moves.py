"""A move as one int64: four bits of kind, then four fields of twelve bits (see `layout`)."""

from __future__ import annotations

from rr_engine.kernels.jit import entry

_FIELD = 0xFFF


@entry
def pack(kind, a=0, b=0, c=0, d=0):
    """The code of a move; every field is below 4096."""
    return kind | (a << 4) | (b << 16) | (c << 28) | (d << 40)


@entry
def kind_of(move):
    """Kind of a packed move."""
    return move & 0xF


@entry
def field_a(move):
    """First field of a packed move."""
    return (move >> 4) & _FIELD


@entry
def field_b(move):
    """Second field of a packed move."""
    return (move >> 16) & _FIELD


@entry
def field_c(move):
    """Third field of a packed move."""
    return (move >> 28) & _FIELD


@entry
def field_d(move):
    """Fourth field of a packed move."""
    return (move >> 40) & _FIELD
