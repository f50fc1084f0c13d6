"""Words that another party wrote, for a person at a terminal: signs that it would obey are spelled out."""

from __future__ import annotations


def seen(text: str, *, lines: bool = False) -> str:
    """The text with every sign that is not printable written as an escape.

    Args:
        lines: whether ends of lines and tabs stay as they are, as in a program.
    """
    return "".join(
        sign if sign.isprintable() or (lines and sign in "\n\t") else ascii(sign)[1:-1] for sign in text
    )
