"""Names of points: short, readable, the same every time, and safe as names of directories."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

LONGEST_SLUG = 120
LONGEST_VALUE = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9._%+-]+")


def labels(paths: Collection[str]) -> dict[str, str]:
    """For each dotted path its shortest end that no other path has and that does not begin with a number."""
    found = {}
    for path in paths:
        words = path.split(".")
        ends = (words[-length:] for length in range(1, len(words) + 1))
        fit = (end for end in ends if not end[0].isdecimal() and sum(_ends_in(other, end) for other in paths) == 1)
        found[path] = ".".join(next(fit, words))
    return found


def slug(values: Mapping[str, Any], named: Mapping[str, str]) -> str:
    """The name of a point, such as `delay=65ms,loss=0.5%`; `named` are the labels of its keys.

    What is too long, a value or the whole, is cut and ends in a part of its SHA-256, as does a value that is no ASCII.
    """
    text = ",".join(f"{_UNSAFE.sub('-', named[path])}={_value(value)}" for path, value in values.items())
    return _bounded(text or "base", LONGEST_SLUG, text)


def _ends_in(path: str, words: list[str]) -> bool:
    return path.split(".")[-len(words) :] == words


def _value(value: Any) -> str:
    if isinstance(value, (dict, list)):
        whole = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return _bounded(_UNSAFE.sub("-", whole).strip("-") or "empty", LONGEST_VALUE, whole)
    whole = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    if not whole.isascii():  # Nothing of it would be left.
        return _bounded(f"{_UNSAFE.sub('-', whole)}-{_digest(whole)}", LONGEST_VALUE, whole)
    return _bounded(_UNSAFE.sub("-", whole) or "empty", LONGEST_VALUE, whole)


def _bounded(text: str, most: int, whole: str) -> str:
    if len(text) <= most:
        return text
    digest = _digest(whole)
    return f"{text[: most - len(digest) - 1]}-{digest}"


def _digest(whole: str) -> str:
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:10]
