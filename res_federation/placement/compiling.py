"""Loops compiled by numba, kept on disk for as long as all that they stand on is the same.

numba takes compiled code from disk while the file of the function itself is as it was.  But a loop
has the loops that it calls compiled into it, and constants of other files too: after an upgrade in
place the old ones would go on running.  So what is kept is stamped with all that it stands on, and
what is kept under another stamp is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
_PLAIN = (bool, int, float, str, bytes, tuple, np.generic, type(None))


def compiled(function: Function) -> Function:
    """Compile *function*, keeping the result on disk where that is possible."""
    try:
        loop = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder for the cache may be written: compile anew each time
        return numba.njit(nogil=True)(function)
    kept: Any = getattr(getattr(loop, "_cache", None), "_cache_file", None)
    if not hasattr(kept, "_source_stamp"):  # another numba: rather compile anew than run old code
        return numba.njit(nogil=True)(function)
    kept._source_stamp = (kept._source_stamp, stands_on(function))  # noqa: SLF001 - no other way
    return loop


def merged(function: Function) -> Function:
    """Compile *function* into whoever calls it: to hand many arrays over takes long."""
    return numba.njit(inline="always", nogil=True)(function)


def stands_on(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code, and of all code and constants that it reaches.

    It must all be there already: whoever is called stands above who calls it.
    """
    root = function.__module__.partition(".")[0]
    return sha256("\n".join(_told(function, root, set())).encode()).hexdigest()


def _told(value: object, root: str, seen: set[int]) -> Iterator[str]:
    """Yield what a function, a constant or a bundle of arrays is, down to the last one."""
    value = getattr(value, "py_func", value)
    if isinstance(value, FunctionType):
        if id(value) not in seen and value.__module__.partition(".")[0] == root:
            seen.add(id(value))
            yield from _function(value, root, seen)
    elif isinstance(value, type) and hasattr(value, "_fields"):
        yield f"{value.__name__} {value._fields}"
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.tolist()}"
    elif isinstance(value, _PLAIN):
        yield repr(value)


def _function(function: FunctionType, root: str, seen: set[int]) -> Iterator[str]:
    names: set[str] = set()
    yield f"{function.__qualname__} {function.__defaults__}"
    yield from _code(function.__code__, names)
    for cell in function.__closure__ or ():
        yield from _told(cell.cell_contents, root, seen)
    space = function.__globals__
    names |= {str(note) for note in function.__annotations__.values()}  # bundles are named there
    for name in sorted(names & space.keys()):
        found = space[name]
        yield name
        if not isinstance(found, ModuleType):
            yield from _told(found, root, seen)
        elif found.__name__.partition(".")[0] == root:
            for other in sorted(names & vars(found).keys()):
                yield other
                yield from _told(vars(found)[other], root, seen)


def _code(code: CodeType, names: set[str]) -> Iterator[str]:
    """Yield what a piece of code does; *names* gets those that it looks up elsewhere."""
    names.update(code.co_names)
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _code(const, names)
        else:
            yield repr(const)
