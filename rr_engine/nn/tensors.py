"""Files of tensors (safetensors) with a description as JSON: nothing in them is ever run. Knows no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from rr_engine.errors import DataError, in_line, shown
from rr_engine.reading import parse_json

_LENGTH = 8  # bytes that say how long the header is
_TOLD = 3  # names in a message


def read_tensors(data: bytes, key: str, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(description, tensors) of a file; `key` is where its description stands, `what` what it is to be.

    Raises DataError if it is damaged or a number in it is not finite. Its tensors take no more memory than it does.
    """
    try:
        tensors = load(data)  # which refuses a header of another form
        length = int.from_bytes(data[:_LENGTH], "little")
        header = parse_json(parse_json(data[_LENGTH : _LENGTH + length])["__metadata__"][key])
    except (DataError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a readable {what}: {in_line(error)}") from error
    if not isinstance(header, dict):
        raise DataError(f"not a readable {what}: its description is no object")
    require_finite(tensors, what)
    return header, tensors


def require_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Raise DataError unless every number of these tensors is finite."""
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.int64):
            raise DataError(f"{what}: {name} is {tensor.dtype}, not float32 or int64")
        if not bool(torch.isfinite(tensor).all()):
            raise DataError(f"{what}: weight {name} is not finite")


def require_fit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str) -> None:
    """Raise DataError unless these tensors have the names, types and shapes of those wanted."""
    if differing := sorted(tensors.keys() ^ wanted.keys()):
        told = ", ".join(shown(name) for name in differing[:_TOLD])
        raise DataError(f"{what} does not fit its own description: {told} is missing or unknown")
    for name, tensor in tensors.items():
        found, due = (tensor.dtype, tuple(tensor.shape)), (wanted[name].dtype, tuple(wanted[name].shape))
        if found != due:
            raise DataError(f"{what} does not fit its own description: {name} is {found}, must be {due}")
