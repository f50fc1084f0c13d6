"""Reports: a terminal table and one self-contained HTML page, drawn from the JSON of `comity compare`.

`render_table(document)` gives something Rich can print; `render_page(document)` gives the page's HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.report.page import render_page
    from comity.report.table import render_table

__all__ = ["render_page", "render_table"]


def __getattr__(name: str) -> Any:
    if name == "render_page":
        from comity.report.page import render_page

        return render_page
    if name == "render_table":
        from comity.report.table import render_table

        return render_table
    raise AttributeError(f"module 'comity.report' has no attribute '{name}'")
