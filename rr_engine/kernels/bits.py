"""Bit counting on non-negative int64 words: hardware instructions when compiled, Python integers when not."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core.extending import intrinsic

if config.DISABLE_JIT:

    def lowest_bit(word: int) -> int:
        """Index of the lowest set bit; `word` must not be 0."""
        word = int(word)
        return (word & -word).bit_length() - 1

    def highest_bit(word: int) -> int:
        """Index of the highest set bit; `word` must not be 0."""
        return int(word).bit_length() - 1

    def popcount(word: int) -> int:
        """Number of set bits."""
        return int(word).bit_count()

else:
    _ZERO_IS_UNDEFINED = ir.Constant(ir.IntType(1), 1)

    @intrinsic
    def lowest_bit(typing_context: Any, word: Any) -> Any:
        """Index of the lowest set bit; `word` must not be 0."""

        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], _ZERO_IS_UNDEFINED)

        return types.int64(types.int64), build

    @intrinsic
    def highest_bit(typing_context: Any, word: Any) -> Any:
        """Index of the highest set bit; `word` must not be 0."""

        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.sub(ir.Constant(ir.IntType(64), 63), builder.ctlz(args[0], _ZERO_IS_UNDEFINED))

        return types.int64(types.int64), build

    @intrinsic
    def popcount(typing_context: Any, word: Any) -> Any:
        """Number of set bits."""

        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.ctpop(args[0])

        return types.int64(types.int64), build
