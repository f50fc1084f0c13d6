"""How a figure is written. A figure that is missing is a dash, never 0."""

from __future__ import annotations

NO_FIGURE = "—"
GAP = "\u00a0"  # a number and its unit stay on one line
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure(value: float | None, digits: int = 3) -> str:
    """A plain number with fixed decimals, or the dash that says there is no figure."""
    if value is None:
        return NO_FIGURE
    # adding 0.0 turns a rounded -0.0 into 0.0
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share as a whole percentage."""
    return NO_FIGURE if value is None else f"{round(value * 100) + 0:d}{GAP}%".replace("-", "−")


def count(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:,.0f}"


def plain(value: float | None) -> str:
    """A parameter such as epsilon as it was given: 1, 0.05, 10⁻⁶."""
    if value is None:
        return NO_FIGURE
    mantissa, marker, exponent = f"{value:g}".partition("e")
    if not marker:
        return mantissa
    power = "10" + str(int(exponent)).translate(_RAISED)
    return power if mantissa == "1" else f"{mantissa}·{power}"


def seconds(value: float | None) -> str:
    """A duration, to about two digits below 100 s and to the second above."""
    if value is None:
        return NO_FIGURE
    if value < 0.001:
        return f"<{GAP}1{GAP}ms" if value > 0 else f"0{GAP}s"
    if value < 0.1:
        return f"{value * 1000:.0f}{GAP}ms"
    if value < 100:
        digits = 2 if value < 1 else 1 if value < 10 else 0
        return f"{value:.{digits}f}{GAP}s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{GAP}h{GAP}{minutes:02d}{GAP}min"
    return f"{minutes}{GAP}min{GAP}{rest:02d}{GAP}s"


def size(value: float | None) -> str:
    """Bytes in decimal units."""
    if value is None:
        return NO_FIGURE
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor * 0.9995:
            scaled = value / factor
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{GAP}{unit}"
    return f"{value:.0f}{GAP}B"
