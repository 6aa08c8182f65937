"""Names say what a thing is; a drawer for everything has no place."""

from __future__ import annotations

from tests.architecture.tree import files, written

DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "core"}
TOP = {
    ".ci", ".editorconfig", ".gitattributes", ".gitignore",
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
    "docs", "proto", "pyproject.toml", "res_federation", "simulations", "sites", "tests",
}  # fmt: skip


def test_no_module_is_a_drawer():
    parts = {part.removesuffix(".py") for path in written(".py") for part in path.parts}
    assert parts & DRAWERS == set()


def test_the_top_level_is_what_was_agreed():
    assert {path.parts[0] for path in files()} - TOP == set()


def test_tests_stand_in_a_folder_and_say_so():
    tests = [path for path in written(".py") if path.parts[0] == "tests"]
    at_top = {path.name for path in tests if len(path.parts) == 2}
    assert at_top <= {"conftest.py", "builders.py", "strategies.py"}
