"""Draw docs/compare.svg, the picture that README opens with, from the results of `make demo`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from comity.report.charts.utility import utility_chart
from comity.report.results import Report

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    results = json.loads((ROOT / "demo" / "results.json").read_text(encoding="utf-8"))
    drawing = utility_chart(Report.read(results))
    if drawing is None:
        raise SystemExit("demo/results.json has nothing to draw: run make demo first")
    # on the page the style sheet gives ground, font and colours; a picture on its own brings the light ones
    css = (ROOT / "src/comity/report/templates/page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", css.split("@media")[0]))
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    style = "<style>text { font-family: sans-serif }</style>"
    picture = re.sub(r"(<svg[^>]*>)", rf"\1{style}{ground}", drawing.svg, count=1)
    picture = re.sub(r"var\(--([a-z]+)\)", lambda found: colours[found[1]], picture)
    (ROOT / "docs" / "compare.svg").write_text(picture + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
