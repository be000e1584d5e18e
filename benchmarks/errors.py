"""How a benchmark ends without a measurement."""

from __future__ import annotations


class ArgumentsError(ValueError):
    """Arguments that do not go together; the text names the option, what is wrong and what is allowed."""


class RigError(Exception):
    """What was to be measured did not end well; the text says how, with the end of its log."""
