"""The rules as Numba kernels: arrays and scalars in and out, no objects, no allocation, no exceptions.

A kernel trusts its arguments (the door, `rr_engine.game`, checks them), fills memory its caller owns and returns counts
or flags. The same source runs compiled (CPU, CUDA) and, with `NUMBA_DISABLE_JIT=1`, as plain Python.
"""
