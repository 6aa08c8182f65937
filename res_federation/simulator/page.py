"""The report's page: one HTML document that needs no network, no other file and no script.

Whatever comes from traces and files is escaped; a policy in the head forbids the page to load
anything, so that even a name that slipped through could fetch nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from res_federation.simulator.plots_style import Plot, svg
from res_federation.simulator.span import plain

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --back: #ffffff; --faint: #b8b8b8;
  --soft: #f3f4f6; --mark: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --back: #16181b; --faint: #565b62; --soft: #22262b; --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--back);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; border-bottom: 2px solid var(--mark);
  padding-bottom: .2rem; overflow-wrap: anywhere; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .4rem 0; overflow-wrap: anywhere; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
a { color: var(--mark); }
figure { margin: 1rem 0 1.6rem; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { font-weight: 600; margin-bottom: .3rem; overflow-wrap: anywhere; }
figcaption span, .note { font-weight: 400; font-size: .88rem; opacity: .85; display: block;
  max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  margin: .6rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: .2rem; }
thead th { border-bottom: 1.5px solid var(--ink); vertical-align: bottom; }
tbody tr:nth-child(even) { background: var(--soft); }
tbody td { border-bottom: 1px solid var(--faint); }
footer { margin-top: 3rem; font-size: .85rem; opacity: .8; }
@media print {
  :root { --ink: #000000; --back: #ffffff; --faint: #b8b8b8; --soft: #f3f4f6; --mark: #0072b2; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; } h2, h3, caption { break-after: avoid; } tr { break-inside: avoid; }
  .scroll { overflow: visible; } table { font-size: 7.5pt; max-width: 100%; }
  th, td { padding: .15rem .3rem; white-space: normal; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return the whole document.

    Args:
        title: In plain text.
        lead: What was replayed, in plain text.
        sections: Headings in plain text, and their HTML.

    """
    links = "".join(
        f'<li><a href="#s{number}">{_escaped(heading)}</a></li>'
        for number, (heading, _) in enumerate(sections)
    )
    body = "".join(
        f'<section id="s{number}"><h2>{_escaped(heading)}</h2>{html}</section>\n'
        for number, (heading, html) in enumerate(sections)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><header><h1>{_escaped(title)}</h1>{paragraph(lead)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n<main>\n{body}</main>\n'
        "<footer>Made by resfed report. Times are those of the trace; waits are from submit to"
        " start.</footer></body></html>\n"
    )


def _escaped(text: str) -> str:
    return escape(plain(text))


def paragraph(text: str, *, note: bool = False) -> str:
    """Return a paragraph of plain text."""
    kind = ' class="note"' if note else ""
    return f"<p{kind}>{_escaped(text)}</p>"


def heading(text: str) -> str:
    """Return a heading within a section, of plain text."""
    return f"<h3>{_escaped(text)}</h3>"


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of plain texts: the first column to the left, numbers to the right."""
    head = "".join(f'<th scope="col">{_escaped(column)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{_escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def drawing(plot: Plot) -> str:
    """Return a figure with its caption and its words for those who do not see it."""
    note = f"<span>{_escaped(plot.note)}</span>" if plot.note else ""
    return f"<figure><figcaption>{_escaped(plot.title)}{note}</figcaption>{svg(plot)}</figure>\n"
