"""In which order a site lets its jobs wait: as they came, by fair share, or by a formula.

Ranks other than by submission are worked out when a job comes and again every five minutes, as
Slurm does (`PriorityCalcPeriod`), or as often as is asked for; of two equal ones the job that came
first is first.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

from res_federation.errors import InvalidArgument
from res_federation.simulator.demand import Demand

PERIOD_S = 300
HALF_LIFE_S = 7 * 86_400
"""What a user has used counts half after so long (Slurm's PriorityDecayHalfLife)."""

Value = Callable[[Mapping[str, float]], float]
NAMES = ("wait", "limit", "procs", "usage")
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt, "log": math.log, "min": min, "max": max,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: math.pow,
}  # fmt: skip
_MOST_LETTERS = 500


class SiteOrder:
    """Ranks the jobs of one site; higher is earlier."""

    def __init__(self, text: str, demand: Demand, period_s: int = PERIOD_S) -> None:
        """Take ``submit``, ``fair-share``, or a formula over `NAMES`; raises InvalidArgument."""
        self._demand, self.period_s = demand, period_s
        self.by_rank = text != "submit"
        self._formula = None if text in ("submit", "fair-share") else formula(text)
        self._used: dict[int, tuple[float, int]] = {}

    def rank(self, job: int, submitted: int, now: int) -> float:
        """Return the rank of a waiting job."""
        if not self.by_rank:
            return 0.0
        demand = self._demand
        usage = self.usage(demand.user[job], now)
        if self._formula is None:
            return -usage
        values = {
            "wait": float(now - submitted), "limit": float(demand.limit[job]),
            "procs": float(demand.procs[job]), "usage": usage,
        }  # fmt: skip
        try:
            found = self._formula(values)
        except (ArithmeticError, ValueError):  # a division by nothing, the root of a debt
            return 0.0
        return 0.0 if math.isnan(found) else found

    def usage(self, user: int, now: int) -> float:
        """Return the core-seconds that a user has used here, older ones counting less."""
        amount, at = self._used.get(user, (0.0, now))
        return amount * math.pow(2.0, (at - now) / HALF_LIFE_S)

    def used(self, job: int, core_s: float, now: int) -> None:
        """Count what a job has used that ends now."""
        if self.by_rank:
            user = self._demand.user[job]
            self._used[user] = (self.usage(user, now) + core_s, now)


def formula(text: str) -> Value:
    """Read a formula: numbers, `NAMES`, ``+ - * / **``, brackets, sqrt, log, min, max.

    Raises:
        InvalidArgument: If it is anything else.

    """
    way_out = f"such as (wait / limit) ** 3 * procs; it may use {', '.join(NAMES)}"
    if len(text) > _MOST_LETTERS:
        raise InvalidArgument("the formula is too long", field="order", way_out=way_out)
    try:
        return _read(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidArgument(
            f"'{text}' is no order and no formula: {error}", field="order",
            way_out=f"submit, fair-share or a formula {way_out}",
        ) from None  # fmt: skip


def _read(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return lambda _values: float(number)
        case ast.Name(id=name) if name in NAMES:
            return lambda values: values[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            one, other, do = _read(left), _read(right), _OPERATORS[type(op)]
            return lambda values: do(one(values), other(values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _read(operand)
            return lambda values: -inner(values)
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as arguments, keywords=[]) if (
            name in _FUNCTIONS
        ):
            if (name in ("sqrt", "log")) != (len(arguments) == 1):
                raise ValueError(f"{name} takes another number of values")
            function, parts = _FUNCTIONS[name], [_read(each) for each in arguments]
            return lambda values: function(*(part(values) for part in parts))
    raise ValueError(f"'{ast.unparse(node)}' is not known")
