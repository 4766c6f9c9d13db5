"""Loops that are compiled when first called, by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code, kept on disk where there is a place for it. Other threads run
    beside it. What it takes from other files is not seen to change: its constants and the compiled
    functions that it calls must be of its own file."""
    import numba

    try:
        made: object = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # neither the function's folder nor the user's cache can be written
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Function, made)
