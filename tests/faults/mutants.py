"""Scenarios broken at random: values, keys, structure, YAML's tricks, bytes; the same ones in every run."""

from __future__ import annotations

import copy
import functools
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"```yaml\n(schema_version:.*?)```", re.DOTALL)

EACH = 36
EACH_COSTLY = 10
COSTLY = ("bomb", "huge")

Keys = tuple[str | int, ...]
Change = Callable[[random.Random, Any], str | bytes]

# What a key may be given instead of its value.
ODD_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, -(10**30), 10**30, 1e308, -1e308, 5e-324, 0.1, "", " ", "x", "x" * 5000, []),
    *([[]], [1, 2], {}, {"kind": "x"}, {"kind": ["ns3"]}, {"kind": {"a": 1}}, {"": ""}, {"a": {"a": {"a": 1}}}),
    *("20", "20ms", "-20ms", "1e400s", "1e-400s", "1e9h", "0s", "0.1ns", "٣ms", "20 ms", "20ms20", "nan", "inf"),
    *("-inf", "NaNms", "infs", "1_000ms", "0x10ms", "1e5ms", "1e99999999999999999999s", "100%", "101%", "-1%"),
    *("1e400%", "5bit/s", "9e99Gbit/s", "1B", "99999999TB", "../..", "/", "/dev/zero", "a\nb", "a\tb", "\u2028"),
    *("\u202e", "é", "😀", "{}", "%s", "{what}", "${", "${}", "${A", "${NOBODY_HAS_THIS}", "${NOBODY_HAS_THIS:}"),
    *("${NOBODY_HAS_THIS:7}", "$${X}", "null", "true", "~", "0o17", "1:30", "2026-11-21", "<<", "=", "*x", "&x"),
    *("!x", "kind", "a.b", "a" * 64, "a" * 65, "-", "_"),
]
# The same in YAML's own spelling.
ODD_SPELLINGS = [
    *(".nan", ".inf", "-.inf", "1e400", "-1e400", "0x" + "f" * 300, "0x" + "f" * 3000, "9" * 399, "9" * 4000),
    *("1_000", "0b1", "010", "1:30", "1:30:59.9", "=", "<<", "~", "Yes", "on", "2026-11-21"),
    *("2026-11-21T00:00:00Z", "'20ms", '"20ms', "`x`", "@x", "%x", "|", ">", "|\n  text", "- x", "? x", "[", "]"),
    *("{", "}", "[1", "{a: 1", "a: b", "#", "&x 1", "*nobody", "&x [*x]", "&x {a: *x}", "&x {<<: *x}", "{<<: 3}"),
    *("{<<: [1]}", "{<<: [{a: 1}, {b: 2}]}", "{[1]: 2}", "{{a: 1}: 2}", "!!str 5", "!!int five", "!!int ''"),
    *("!!float x", "!!bool maybe", "!!null x", "!!binary '/w=='", "!!set {a, b}", "!!omap [a: 1]"),
    *("!!pairs [a: 1]", "!!timestamp x", "!!seq {a: 1}", "!!map [1]", "!!python/none", "!mine x", "! x", "!<x> y"),
    *("!!python/object/apply:os.system ['touch mutated']", "!!python/object:os.system {}"),
    *("!!python/name:os.system", "!!python/module:os", "!!python/object/new:os.system ['touch mutated']"),
    *("!!python/tuple [1]", '"\\x00"', '"\\ud800"', '"\\UFFFFFFFF"', '"\\q"', '"\\u12"', "'\\x00'", '"\\x1b[31m"'),
    '"a\\nb: c"',
]
ODD_LINES = [
    *("schema_version: 1", "schema_version: 2", "netwrok: {}", "? x", ": x", "- x", "\tx: 1", "---", "..."),
    *("%YAML 9.9", "%TAG ! x", "<<: {seed: 3}", "<<: [{seed: 3}]", "<<: 3", "<<: *nobody", "'': 1", "1: 1", "~: 1"),
    *("[a]: 1", "{a: b}: 1", "true: 1", "!!python/name:os.system : 1", "&a a: *a", "x" * 70_000 + ": 1"),
    *("? " + "x" * 70_000, "seed: 1 # \x07", "# \ud7ff", "a:b", '"\\ud800": 1', '"a\\nb": 1', '"\\x1b[2J": 1'),
    *("seed: [", "seed: 'x", "placement: {kind: fixed, options: {a: 1}}"),
]
ODD_CHARACTERS = (
    "\x00\x01\x07\x08\x0b\x0c\x1b\x7f\x80\x85\xa0\xad\u2028\u2029\u202e\ufeff\ufffe\uffff\U0010ffff"
    "\t\r\n:#{}[],&*!|>'\"%@`"
)


@functools.cache
def seeds() -> list[str]:
    """The scenarios that we ship and the one in the README."""
    texts = [file.read_text() for file in sorted((ROOT / "experiments").glob("*.yaml"))]
    fence = FENCE.search((ROOT / "README.md").read_text())
    assert fence, "the README shows a scenario"
    return [*texts, fence[1]]


def names() -> list[tuple[str, int]]:
    """Kind of change and number of every mutant."""
    return [(kind, number) for kind in KINDS for number in range(EACH_COSTLY if kind in COSTLY else EACH)]


def mutant(kind: str, number: int) -> bytes:
    """A scenario file; the same one for the same kind and number."""
    texts = seeds()
    made = KINDS[kind](random.Random(f"{kind} {number}"), texts[number % len(texts)])
    return made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass")


def paths(data: Any, keys: Keys = ()) -> list[Keys]:
    """Every place in a tree but its root."""
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, child in children for place in [(*keys, key), *paths(child, (*keys, key))]]


def at(data: Any, keys: Keys) -> Any:
    for key in keys:
        data = data[key]
    return data


def dump(dice: random.Random, data: Any) -> str:
    return yaml.safe_dump(
        data, sort_keys=False, default_flow_style=dice.choice([None, False, True]), allow_unicode=True
    )


def _tree(change: Callable[[random.Random, Any, Keys], None]) -> Change:
    """A change at one place, or at two or three, of the parsed scenario."""

    def mutate(dice: random.Random, text: str) -> str:
        data = yaml.safe_load(text)
        for _ in range(dice.choice([1, 1, 2, 3])):
            change(dice, data, dice.choice(paths(data)))
        return dump(dice, data)

    return mutate


def _delete(dice: random.Random, data: Any, keys: Keys) -> None:
    del at(data, keys[:-1])[keys[-1]]


def _replace(dice: random.Random, data: Any, keys: Keys) -> None:
    at(data, keys[:-1])[keys[-1]] = copy.deepcopy(dice.choice(ODD_VALUES))


def _swap(dice: random.Random, data: Any, keys: Keys) -> None:
    """Put at one place what belongs to another."""
    other = dice.choice(paths(data))
    at(data, keys[:-1])[keys[-1]] = copy.deepcopy(at(data, other))


def _wrap(dice: random.Random, data: Any, keys: Keys) -> None:
    value = at(data, keys)
    wrapped = dice.choice([[value], {keys[-1]: value}, {"kind": value}, str(value), [value, value], repr(value)])
    at(data, keys[:-1])[keys[-1]] = wrapped


def _unknown(dice: random.Random, data: Any, keys: Keys) -> None:
    section = at(data, keys)
    section = section if isinstance(section, dict) else data
    word = list(dice.choice([str(key) for key in section] or ["x"]))
    word.insert(dice.randrange(len(word) + 1), dice.choice(["x", " ", ".", "\u00e9", "\n", "\x1b", "A" * 300]))
    section["".join(word)] = dice.choice(ODD_VALUES)


def _rename(dice: random.Random, data: Any, keys: Keys) -> None:
    section = at(data, keys[:-1])
    if isinstance(section, dict):
        section[dice.choice([str(keys[-1]).upper(), str(keys[-1])[:-1], "kind", "name", ""])] = section.pop(keys[-1])


def _timeline(dice: random.Random, text: str) -> str:
    data = yaml.safe_load(text)
    place = ".".join(map(str, dice.choice([keys for keys in paths(data["network"])])))
    knob = dice.choice(
        [f"network.{place}", f"network.{place}.delay", place, "seed", "", ".", "network..delay", "network"]
    )
    at_ = dice.choice(["1s", "1s", "0s", "99h", *ODD_VALUES])
    data["timeline"] = [{"at": at_, "set": {knob: dice.choice(["10ms", "1Mbit/s", "10%", *ODD_VALUES])}}]
    return dump(dice, data)


def _spelling(dice: random.Random, text: str) -> str:
    """A value in a spelling that only YAML has: tags, anchors, bases, unfinished quotes and brackets."""
    data = yaml.safe_load(text)
    keys = dice.choice(paths(data))
    at(data, keys[:-1])[keys[-1]] = "PLACE"
    return dump(dice, data).replace("PLACE", dice.choice(ODD_SPELLINGS), 1)


def _line(dice: random.Random, text: str) -> str:
    lines = text.splitlines()
    lines.insert(dice.randrange(len(lines) + 1), dice.choice(ODD_LINES))
    return "\n".join(lines) + "\n"


def _shuffle(dice: random.Random, text: str) -> str:
    """Lines doubled, left out, moved or indented in another way."""
    lines = text.splitlines()
    for _ in range(dice.randrange(1, 4)):
        chosen = dice.randrange(len(lines))
        action = dice.choice(["double", "remove", "move", "indent", "outdent", "tab"])
        line = lines[chosen]
        if action == "double":
            lines.insert(chosen, line)
        elif action == "remove":
            del lines[chosen]
        elif action == "move":
            lines.insert(dice.randrange(len(lines)), lines.pop(chosen))
        else:
            lines[chosen] = {"indent": "  " + line, "outdent": line[2:], "tab": "\t" + line.lstrip()}[action]
    return "\n".join(lines)


def _double(dice: random.Random, text: str) -> str:
    """A section's key a second time, with the same or another value."""
    data = yaml.safe_load(text)
    keys = dice.choice([keys for keys in paths(data) if isinstance(at(data, keys), dict) and at(data, keys)])
    section = at(data, keys)
    key = dice.choice(list(section))
    section["SECOND"] = dice.choice([section[key], *ODD_VALUES])
    return re.sub(r"SECOND(?=:)", str(key), dump(dice, data), count=1)


def _characters(dice: random.Random, text: str) -> str:
    characters = list(text)
    for _ in range(dice.choice([1, 1, 1, 5])):
        characters[dice.randrange(len(characters))] = dice.choice(ODD_CHARACTERS)
    return "".join(characters)


def _bytes(dice: random.Random, text: str) -> bytes:
    content = bytearray(text.encode())
    for _ in range(dice.choice([1, 1, 20])):
        content[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(content)


def _cut(dice: random.Random, text: str) -> str:
    return text[: dice.randrange(len(text))]


def _encoding(dice: random.Random, text: str) -> bytes:
    noted = text.replace("name: ", "name: é", dice.choice([0, 1]))
    encoded = noted.encode(
        dice.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp037", "utf-8"])
    )
    before = dice.choice([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xff" * 9])
    newline = dice.choice([b"\n", b"\r\n", b"\r", b"\x00\n"])
    return before + encoded.replace(b"\n", newline)


def _bomb(dice: random.Random, text: str) -> str:
    """Ten lines that stand for a billion of nodes, beside a scenario or inside of one."""
    width, depth = dice.choice([(2, 64), (10, 9), (100, 5)])
    first, nested = dice.choice([("[x, x]", "[{}]"), ("{x: 1}", "{{<<: [{}]}}"), ("{x: 1}", "{{<<: [{}], y: 1}}")])
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} " + nested.format(", ".join([f"*a{n - 1}"] * width)) for n in range(1, depth)]
    return "\n".join(dice.choice([[*lines, text], [text, *lines], lines]))


def _anchor(dice: random.Random, text: str) -> str:
    """One value of the scenario as an anchor, and its alias or a merge of it somewhere else."""
    data = yaml.safe_load(text)
    first, second = dice.choice(paths(data)), dice.choice(paths(data))
    shared = at(data, first)
    if first != second[: len(first)] and second != first[: len(second)]:
        at(data, second[:-1])[second[-1]] = shared
    dumped: str = yaml.dump(data, sort_keys=False)
    return re.sub(r"(?m)(\S+): \*id001", dice.choice([r"\1: *id001", r"<<: *id001", r"\1: {<<: *id001}"]), dumped)


def _huge(dice: random.Random, text: str) -> str:
    """Much of one thing: text, key, nesting, list, comment, keys, digits."""
    n: int = 10 ** dice.randrange(3, 7)
    deep = dice.choice([40, 1000, 100_000])
    return text + dice.choice(
        [
            f'extra: "{"x" * n}"\n',
            f"{'k' * n}: 1\n",
            f"extra: {'[' * deep}{']' * deep}\n",
            f"extra: {'{a: ' * deep}{'}' * deep}\n",
            f"extra: {'- ' * deep}x\n",
            f"extra: [{'1, ' * min(n, 10**5)}1]\n",
            "#" * n + "\n",
            "".join(f"key{index}: {index}\n" for index in range(min(n, 10**4))),
            f"seed: {'9' * n}\n",
            f"extra: 1e{'9' * n}\n",
            "\n" * n + "x",
            f"extra: |\n{'  line' * (n // 10)}\n",
        ]
    )


KINDS: dict[str, Change] = {
    "delete": _tree(_delete),
    "replace": _tree(_replace),
    "swap": _tree(_swap),
    "wrap": _tree(_wrap),
    "unknown": _tree(_unknown),
    "rename": _tree(_rename),
    "timeline": _timeline,
    "spelling": _spelling,
    "line": _line,
    "shuffle": _shuffle,
    "double": _double,
    "characters": _characters,
    "bytes": _bytes,
    "cut": _cut,
    "encoding": _encoding,
    "bomb": _bomb,
    "anchor": _anchor,
    "huge": _huge,
}
