"""Reading YAML: the place of every key, and files that are no YAML, too much YAML or no scenario."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.source import LARGEST_FILE_BYTES, literal, parse, parse_value, read


def faults(text: str, **environment: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "s.yaml", environment)
    return str(caught.value).splitlines()


def test_notes_the_line_of_every_key() -> None:
    source = parse("a: 1\nb:\n  - x\n  - c: 2\n    d: {e: 3,\n      f: 4}\n", "s.yaml", {})
    assert source.data == {"a": 1, "b": ["x", {"c": 2, "d": {"e": 3, "f": 4}}]}
    assert {".".join(map(str, keys)): line for keys, (_, line) in source.places.items()} == {
        "a": 1,
        "b": 2,
        "b.0": 3,
        "b.1": 4,
        "b.1.c": 4,
        "b.1.d": 5,
        "b.1.d.e": 5,
        "b.1.d.f": 6,
    }
    assert source.place(("b", 1, "missing")) == ("s.yaml", 4)
    assert source.place(("missing",)) == ("s.yaml", 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "s.yaml:1: is empty"),
        ("# only a comment\n", "s.yaml:1: is empty"),
        ("---\n...\n", "s.yaml:2: is not a mapping"),
        ("\n- a\n", "s.yaml:2: is not a mapping; `key: value` lines at the top level"),
        ("just text", "s.yaml:1: is not a mapping"),
        ("a: 1\n\tb: 2\n", "s.yaml:2: is not YAML: "),
        ("a: [1, 2\n", "s.yaml:2: is not YAML: while parsing a flow sequence"),
        ("a: {b: 1\nc: 2\n", "s.yaml:2: is not YAML: "),
        ('a: "open\n', "s.yaml:2: is not YAML: while scanning a quoted scalar"),
        ("a: b: c\n", "s.yaml:1: is not YAML: mapping values are not allowed here"),
        ("a: *nobody\n", "s.yaml:1: is not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2: is not YAML: expected a single document"),
        ("a: 1\nb: x\0y\n", "s.yaml:2: has a character that YAML does not allow"),
        ("a: 1\nb: x\x07y\n", "s.yaml:2: has a character that YAML does not allow"),
        ('a: 1\nb: "x\\0y"\n', "s.yaml:2: b: 'x\\x00y' has a character that no text has"),
        ('a: "\\ud800"\n', "s.yaml:1: a: '\\ud800' has a character that no text has"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', "s.yaml:2: is not YAML: "),
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3: a: is given twice; each key once"),
        ("p:\n  a: 1\n  a: 1\n", "s.yaml:3: p.a: is given twice"),
        ("? [a, b]\n: 1\n", "s.yaml:1: has a key that is no word"),
        ("p:\n  {x: 1}: 2\n", "s.yaml:2: p: has a key that is no word"),
        ("a: &x [*x]\n", "s.yaml:1: aliases that contain themselves"),
        ("a: &x {b: *x}\n", "s.yaml:1: aliases that contain themselves"),
        ("a: &x {<<: *x}\n", "s.yaml:1: aliases that contain themselves"),
        ("a: {<<: 3}\n", "s.yaml:1: a: `<<` takes a mapping"),
        ("a: !!python/object/apply:os.system [ls]\n", "s.yaml:1: a: has the tag 'tag:yaml.org,2002:python/object"),
        ("a: !!python/name:os.system\n", "s.yaml:1: a: has the tag 'tag:yaml.org,2002:python/name"),
        ("a: !mine 3\n", "s.yaml:1: a: has the tag '!mine'"),
        ('a: !!binary "/w=="\n', "s.yaml:1: a: has the tag 'tag:yaml.org,2002:binary'"),
        ("a: !!set {x, y}\n", "s.yaml:1: a: has the tag 'tag:yaml.org,2002:set'"),
        ("a: !!timestamp x\n", "s.yaml:1: a: has the tag 'tag:yaml.org,2002:timestamp'"),
        ("a: !!bool perhaps\n", "s.yaml:1: a: 'perhaps' is no bool"),
        ('a: !!int ""\n', "s.yaml:1: a: '' is no int"),
        ("a: !!float x\n", "s.yaml:1: a: 'x' is no float"),
        ("a: =\n", "s.yaml:1: a: has the tag 'tag:yaml.org,2002:value'"),
        ("a: .nan\n", "s.yaml:1: a: .nan is no finite number"),
        ("a: -.inf\n", "s.yaml:1: a: -.inf is no finite number"),
        ("a: 1.0e+400\n", "s.yaml:1: a: 1.0e+400 is no finite number"),
        ("a: 010\n", "s.yaml:1: a: 010 is a number of base 8 or 60"),
        ("a: 1:30\n", "s.yaml:1: a: 1:30 is a number of base 8 or 60"),
        ("a: " + "1" * 5000, "s.yaml:1: a: is too long for a number"),
        ("a: 0x" + "f" * 5000, "s.yaml:1: a: is too long for a number"),
        ("a: ${NOBODY}\n", "s.yaml:1: a: environment variable NOBODY is not set; set it, or write ${NOBODY:default}"),
        ("a: " + "[" * 100 + "]" * 100, "s.yaml:1: is nested too deeply"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "s.yaml:1: is nested too deeply"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, told: str) -> None:
    assert faults(text)[0].startswith(told)


def test_tells_every_fault_of_a_value() -> None:
    assert [fault.split(";")[0] for fault in faults("a: 010\nb: ${X}\nc: {d: 1, d: 2}\n")] == [
        "s.yaml:1: a: 010 is a number of base 8 or 60 in YAML",
        "s.yaml:2: b: environment variable X is not set",
        "s.yaml:3: c.d: is given twice",
    ]


def test_aliases_that_grow_without_end_are_refused() -> None:
    """A billion of nodes from ten lines, by aliases in lists and by merges."""
    lists = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "grow without end" in faults("\n".join(lists))[0]
    merges = ["a0: &a0 {x: 1}"]
    merges += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)]
    assert "grow without end" in faults("\n".join(merges))[0]


def test_an_alias_and_a_merge_are_copies_with_lines_of_their_own() -> None:
    text = "base: &b {rate: 1, delay: 2}\none: *b\ntwo:\n  <<: *b\n  rate: 3\nthree: &t {<<: *b, rate: 4}\nfour: *t\n"
    source = parse(text, "s.yaml", {})
    assert source.data["one"] == {"rate": 1, "delay": 2}
    assert source.data["one"] is not source.data["base"]
    assert source.data["two"] == {"rate": 3, "delay": 2}
    assert source.data["four"] == source.data["three"] == {"rate": 4, "delay": 2}
    assert source.place(("two", "rate")) == ("s.yaml", 5)
    assert source.place(("two", "delay")) == ("s.yaml", 1)


def test_of_merged_mappings_the_first_wins() -> None:
    assert parse("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b], z: 3}\n", "s.yaml", {}).data["c"] == {
        "x": 1,
        "y": 2,
        "z": 3,
    }


def test_keys_are_words_whatever_they_look_like() -> None:
    assert parse("1: a\ntrue: b\n~: c\n2026-11-21: d\n1.5: e\n", "s.yaml", {}).data == {
        "1": "a",
        "true": "b",
        "~": "c",
        "2026-11-21": "d",
        "1.5": "e",
    }


def test_a_date_is_a_text() -> None:
    assert parse("a: 2026-11-21\n", "s.yaml", {}).data == {"a": "2026-11-21"}


def test_variables() -> None:
    text = 'a: ${SEED:1}\nb: "${SEED:1}"\nc: x-${NAME:n}-${EMPTY:}\nd: $${NAME}\ne: $NAME ${not a name}\n'
    assert parse(text, "s.yaml", {}).data == {
        "a": 1,
        "b": "1",
        "c": "x-n-",
        "d": "${NAME}",
        "e": "$NAME ${not a name}",
    }
    changed = parse(text, "s.yaml", {"SEED": "7", "NAME": "${SEED}", "EMPTY": "z"}).data
    assert (changed["a"], changed["b"], changed["c"]) == (7, "7", "x-${SEED}-z")


@given(st.text(st.sampled_from("${}A:x")))
def test_a_literal_text_reads_back_as_itself(text: str) -> None:
    quoted = literal(text).replace("\\", "\\\\")
    assert parse(f'a: "{quoted}"', "s.yaml", {}).data == {"a": text}


def test_one_value_of_a_flag() -> None:
    assert parse_value("{a: [1, 60ms]}", "--set", "k") == {"a": [1, "60ms"]}
    assert parse_value("", "--set", "k") is None
    assert parse_value("${HOME}", "--set", "k") == "${HOME}"
    with pytest.raises(ScenarioError, match=r"^--set: k: is not YAML: .*; a YAML value such as"):
        parse_value("[1", "--set", "k")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfea\x00:\x00 \x001\x00", "{file}:1: is not UTF-8 text; YAML in UTF-8"),
        ("a: 1".encode("utf-16-le"), "{file}:1: has a character that YAML does not allow"),
        (b"a: 1\nb: \xe9\n", "{file}:2: is not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "{file}:1: has a character"),
        (b"a" * (LARGEST_FILE_BYTES + 1), "{file}: is larger than a scenario can be"),
    ],
    ids=["utf-16", "utf-16 without mark", "latin-1", "binary", "huge"],
)
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        read(file, {})
    assert str(caught.value).startswith(told.format(file=file))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read(file, {}).data == {"a": 1, "b": 2}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nobody\.yaml: cannot be read: No such file or directory; the path of a"):
        read(tmp_path / "nobody.yaml", {})
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        read(tmp_path, {})
    with pytest.raises(ScenarioError, match="cannot be read: File name too long"):
        read(tmp_path / ("x" * 300), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("a: 1")
    file.chmod(0)
    with pytest.raises(ScenarioError, match="cannot be read: Permission denied"):
        read(file, {})


def problems_of(text: str) -> list[Problem]:
    try:
        parse(text, "s.yaml", {})
    except ScenarioError as error:
        return error.problems
    return []


YAML_BITS = [
    *("a", "1", "0x", "1:2", ".", "~", "\n", "  ", "\t", "\x85", "\u2028", "---\n"),
    *("b: ", ": ", "- ", "? ", "[", "]", "{", "}", ",", "|", ">", "'", '"', "\\U", "#", "%"),
    *("&x ", "*x", "<<: ", "!", "!!int ", "!!set ", "${"),
]


@given(st.lists(st.sampled_from(YAML_BITS), max_size=30).map("".join) | st.text(max_size=60))
@example("!<tag:yaml.org,2002:int> {}")
@example("! x")
@example("%YAML 9.9\n--- a")
@example("a: !!null x")
def test_any_text_is_read_or_refused_at_a_line_of_it(text: str) -> None:
    for problem in problems_of(text):
        assert problem.origin == "s.yaml"
        assert problem.line in range(1, len(text.splitlines()) + 2)
