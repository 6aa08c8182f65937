"""Small files, one claim each; functions that fit a screen."""

from __future__ import annotations

import ast

from tests.architecture.tree import text, written

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
# A loop that numba compiles works on a dozen arrays: cut in two, it only hands them around.
MOST_LINES_OF_A_KERNEL = 120
KERNEL = "compiled"

# "path::qualified name": why it is longer.
LONG_FUNCTIONS: dict[str, str] = {
    "res_federation/model/resources.py::layout_numbers": (
        "one flat rule that numba compiles as it stands"
    ),
    "res_federation/slurm/site_rules.py::ruled": "holds the next one",
    "res_federation/slurm/site_rules.py::ruled.ruled_layout": (
        "one flat rule that numba compiles as it stands"
    ),
}


def most_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Tell how long a function may be."""
    marks = {mark.id for mark in function.decorator_list if isinstance(mark, ast.Name)}
    return MOST_LINES_OF_A_KERNEL if KERNEL in marks else MOST_LINES_OF_A_FUNCTION


def long_functions(path: str, source: str) -> list[str]:
    """Name every function of a file that is too long; decorators do not count."""
    found = []

    def walk(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                walk(child, name)
                continue
            inner = f"{name}.{child.name}".lstrip(".")
            lines = (child.end_lineno or child.lineno) - child.lineno + 1
            if not isinstance(child, ast.ClassDef) and lines > most_lines(child):
                found.append(f"{path}::{inner} ({lines} lines)")
            walk(child, inner)

    walk(ast.parse(source), "")
    return found


def test_no_file_outgrows_its_claim():
    sizes = {
        path: len((text(path) or "").splitlines()) for path in written(".py", ".pyi", ".proto")
    }
    long = {str(path): lines for path, lines in sizes.items() if lines > MOST_LINES_OF_A_FILE}
    assert long == {}


def test_no_function_outgrows_a_screen():
    found = [
        entry for path in written(".py") for entry in long_functions(str(path), text(path) or "")
    ]
    excused = {entry.split(" (")[0]: entry for entry in found}
    assert sorted(set(excused) - set(LONG_FUNCTIONS)) == []
    assert sorted(set(LONG_FUNCTIONS) - set(excused)) == [], "excuses that nothing needs any more"


def test_a_long_function_is_found_wherever_it_hides():
    body = "\n".join(f"            x{i} = {i}" for i in range(MOST_LINES_OF_A_FUNCTION))
    source = f"class A:\n    if True:\n        async def f(self):\n{body}\n"
    assert long_functions("a.py", source) == ["a.py::A.f (61 lines)"]
