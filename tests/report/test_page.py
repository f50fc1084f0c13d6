"""The page is self-contained, inert, deterministic, usable without seeing it, and escapes users' words."""

from __future__ import annotations

import copy
import json
import re
import warnings
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.report import render_page

VOID = {"meta", "br", "circle", "rect", "path", "use", "link", "img", "input", "hr"}
EVIL = "</style><script>alert(1)</script><img src=x onerror=alert(1)> $\\frac{a}{b}$ a_b ${x}$ {{ 7*7 }} \"'&"


class Page(HTMLParser):
    """Checks nesting and collects elements, ids and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def rendered() -> dict[str, Page]:
    """Pages by the JSON they came from: drawing takes a second, and several tests look at the same page."""
    return {}


def page_of(document: dict[str, Any], rendered: dict[str, Page]) -> Page:
    key = json.dumps(document)
    if key not in rendered:
        rendered[key] = Page(render_page(document))
    return rendered[key]


def test_has_every_section(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    page = page_of(document, rendered)
    ids = [attributes.get("id") for attributes in page.tags("section")]
    assert ids == [
        "summary",
        "utility",
        "epsilon",
        "in-words",
        "guarantees",
        "attacks",
        "cost",
        "parties",
        "not-run",
        "method",
    ]
    links = [attributes["href"] for attributes in page.tags("a")]
    assert links == [f"#{ident}" for ident in ids]


def test_says_in_plain_words_what_each_protects(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    text = page_of(document, rendered).text
    for result in document["results"]:
        if "error" not in result:
            assert all(sentence in text for sentence in result["in_words"].values())


def test_loads_nothing(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    page = page_of(document, rendered)
    assert not page.tags("script")
    assert not page.tags("link")
    assert not page.tags("iframe")
    for tag, attributes in page.elements:
        assert not set(attributes) & {"src", "srcset", "action", "data", "poster"}, tag
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), tag
    policy = next(a["content"] for a in page.tags("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_addresses_are_namespaces_only(document: dict[str, Any]) -> None:
    html = render_page(document)
    assert set(re.findall(r"https?://[^\"' )]+", html)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "url(" not in html.replace("url(#", "")
    assert "@import" not in html


def test_is_deterministic(document: dict[str, Any]) -> None:
    assert render_page(document) == render_page(copy.deepcopy(document))


def test_ids_are_unique_and_references_resolve(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    page = page_of(document, rendered)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        named = (attributes.get("aria-labelledby") or "").split()
        used = re.findall(r"url\(#([^)]+)\)", " ".join(value or "" for value in attributes.values()))
        target = attributes.get("xlink:href") or attributes.get("href") or ""
        for ident in [*named, *used, *([target[1:]] if target else [])]:
            assert ident in ids


def test_charts_have_words(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    page = page_of(document, rendered)
    drawings = [attributes for attributes in page.tags("svg") if attributes.get("role") == "img"]
    assert len(drawings) == 4
    assert len(page.tags("desc")) == 4
    assert "direct-release: 0.899" in page.text
    assert "0.893 at ε 0.1, 0.910 at ε 1" in page.text


def test_drawings_are_themed(document: dict[str, Any]) -> None:
    html = render_page(document)
    assert "#0a000" not in html
    assert "font-family: 'DejaVu" not in html
    for variable in set(re.findall(r"var\(--([a-z]+)\)", html)):
        assert f"--{variable}:" in html


def test_tables_have_headers(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    page = page_of(document, rendered)
    assert all(attributes.get("scope") in ("col", "row", "rowgroup") for attributes in page.tags("th"))
    assert page.tags("html")[0]["lang"] == "en"


def test_on_a_narrow_screen_each_figure_stands_under_its_name(
    document: dict[str, Any], rendered: dict[str, Page]
) -> None:
    """Rows become blocks there, and the heads of columns go: so a figure brings its name along."""
    page = page_of(document, rendered)
    figures = [attributes for attributes in page.tags("td") if attributes.get("class") == "number"]
    unnamed = [attributes for attributes in figures if not attributes.get("data-label")]
    assert len(unnamed) == len(document["inputs"]["providers"])  # a table of two columns stays one
    assert len(figures) > 50


def test_says_what_it_is_and_what_did_not_run(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    text = page_of(document, rendered).text
    assert "A pilot, not a release." in text
    assert "all tables were read in one place" in text
    assert "the part 'federated' is not installed" in text
    assert "A label guarantee says nothing about membership." in text
    assert "2 rows without a target were left out" in text


def test_few_test_rows_are_told_beside_the_picks(document: dict[str, Any]) -> None:
    assert "either way" not in render_page(document)
    few = copy.deepcopy(document)
    few["inputs"]["auc_known_to"] = 0.0631
    page = render_page(few)
    said = page.index("an AUC is known to about 0.06 either way")
    assert page.index('class="picks"') < said < page.index("Words and figures on this page")


def test_a_mode_that_did_not_run_is_named(document: dict[str, Any]) -> None:
    apart = copy.deepcopy(document)
    apart["skipped"] = [
        {"architecture": "encrypted", "reason": "one"},
        {"architecture": "encrypted", "mode": "exact", "reason": "two"},
    ]
    assert "<bdi>encrypted (exact)</bdi>" in render_page(apart)


def test_says_once_that_epsilon_adds_up_over_providers(
    document: dict[str, Any], rendered: dict[str, Page]
) -> None:
    assert page_of(document, rendered).text.count("for somebody who is at two providers it counts twice") == 1
    document["inputs"]["providers"] = document["inputs"]["providers"][:1]
    assert "at two providers" not in page_of(document, rendered).text


def test_start_up_and_memory_are_told_as_those_of_all_processes(
    document: dict[str, Any], rendered: dict[str, Page]
) -> None:
    text = page_of(document, rendered).text
    assert text.count("Starting all parties' processes took 3.1 s, once for all rows") == 1
    assert "peak memory, all processes" in text
    assert "so it is more than the row alone would need" in text
    document["results"][-1]["cost"]["startup_s"] = 5.0
    assert "took 3.1 s to 5.0 s" in page_of(document, rendered).text


def test_every_attack_stands_beside_plain_words(document: dict[str, Any], rendered: dict[str, Page]) -> None:
    text = page_of(document, rendered).text
    for said in (
        "Guess one record's label, everything else being known",
        "50.0 of 100 50.5 of 100 49.0 to 52.0 52.5 of 100 No better than chance, as far as",
        "It is under its bound. advantage 0.01 [−0.02, 0.04], control 0.00, bound 0.05, 2,000 guesses",
        "Point at the released row of a known person. Chance is any row of the release; it is taken off.",
        "No bound: the guarantee is about labels, and says nothing of who is in the table.",
        "No bound: nothing here has differential privacy.",
    ):
        assert said in text
    document["results"][0]["privacy"]["attacks_note"] = "no attack was run: 7 rows are too few"
    assert "no attack was run: 7 rows are too few" in page_of(document, rendered).text


def test_what_a_row_leaves_out_and_what_its_cost_holds_is_said(
    document: dict[str, Any], rendered: dict[str, Page]
) -> None:
    for result in document["results"][-2:]:
        result["left_out"] = [{"column": "pid", "why": "it says whose row it is"}, {"column": "note"}]
        result["cost_note"] = "Rows are scored only to measure."
    text = page_of(document, rendered).text
    assert text.count("Not in what it releases: pid (it says whose row it is); note (no reason given)") == 2
    assert text.count("validation (linked) : Rows are scored only to measure.") == 1


def test_figures_of_programs_have_words_and_no_keys(
    document: dict[str, Any], rendered: dict[str, Page]
) -> None:
    figures = {"threshold": 3, "drop_outs_borne": 0, "noise_excess": 1.5, "unheard_of": 7, "rows_used": 9}
    document["results"][-1]["figures"] = {"analyst": figures}
    text = page_of(document, rendered).text
    assert "drop-outs that it bears So many providers may drop out" in text
    assert "unheard of 7" in text
    assert not [key for key in figures if key in text and "_" in key]


def test_users_words_are_escaped(document: dict[str, Any]) -> None:
    document["inputs"]["target"] = EVIL
    document["inputs"]["positive"] = EVIL
    document["inputs"]["providers"] = [{"name": EVIL, "rows": 1}, {"name": "مستشفى\u202e", "rows": 2}]
    document["inputs"]["schema"] = [{EVIL: EVIL}]
    document["results"][3] |= {
        "architecture": EVIL,
        "mode": EVIL,
        "summary": EVIL,
        "in_words": {"price": EVIL},
        "seen_by": {EVIL: [EVIL]},
    }
    document["results"][3]["trust"] = [{"party": EVIL, "assumption": EVIL}]
    document["results"][3]["privacy"]["attacks"] = {EVIL: {"advantage": 0.5, "low": 0.4, "high": 0.6}}
    document["results"][5]["error"] = EVIL
    document["skipped"] = [{"architecture": EVIL, "reason": EVIL}]
    document["keep"] = EVIL
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = Page(render_page(document))
    assert not page.tags("script")
    assert not page.tags("img")
    assert len(page.tags("style")) == 1
    assert " ".join(EVIL.split())[:60] in page.text
    assert "49" not in page.text.replace("0.49", "").replace("49.0 to 52.0", "")
    assert "\u202e" not in page.text
    assert "مستشفى" in page.text


def test_missing_figures_are_dashes_and_draw_nothing(document: dict[str, Any]) -> None:
    bare = {"architecture": "synthetic", "utility": {"auc": None}, "privacy": {"epsilon": None}, "cost": {}}
    html = render_page({"results": [bare]})
    page = Page(html)
    assert not [attributes for attributes in page.tags("svg") if attributes.get("role") == "img"]
    assert html.count('title="no figure"') == 10


@pytest.mark.parametrize("results", [[], [{"architecture": "validation", "error": "stopped"}]])
def test_a_page_comes_out_of_nothing(results: list[dict[str, Any]]) -> None:
    assert "What each way of collaborating buys and costs" in Page(render_page({"results": results})).text


@given(
    st.lists(st.floats(min_value=-1e6, max_value=1e6) | st.none(), min_size=6, max_size=6),
    st.text(max_size=50),
)
@settings(max_examples=8, deadline=None)
def test_draws_whatever_was_measured(values: list[float | None], name: str) -> None:
    auc, epsilon, advantage, bound, wall, sent = values
    entry = {
        "architecture": name,
        "utility": {"auc": auc, "gap_closed": auc},
        "privacy": {
            "epsilon": epsilon,
            "attacks": {name: {"advantage": advantage, "low": advantage, "high": bound, "bound": bound}},
        },
        "cost": {"wall_s": wall, "cpu_s": wall, "bytes_sent": sent},
    }
    other = copy.deepcopy(entry)
    other["privacy"]["epsilon"] = 1.0
    Page(render_page({"results": [entry, other]}))
