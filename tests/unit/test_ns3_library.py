"""The cache of the C++ library, and what is said when something is missing."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from ns3_scenarios import library

pytestmark = pytest.mark.ns3


def test_ns3_is_found_without_being_imported() -> None:
    ns3 = library.find_ns3()
    assert (ns3.directory / "include" / "ns3").is_dir()
    assert len(ns3.libraries()) == len(library.MODULES)
    assert "ns3" not in sys.modules


def test_the_library_has_a_name_of_its_own_per_ns3_and_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ns3 = library.find_ns3()
    paths = {
        library.library_path(ns3, "g++ 12"),
        library.library_path(ns3, "g++ 13"),
        library.library_path(library.Ns3(ns3.directory, "3.45"), "g++ 12"),
    }
    assert len(paths) == 3
    assert all(path.is_relative_to(tmp_path / "cosim") for path in paths)


def test_a_changed_source_changes_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ns3 = library.find_ns3()
    before = library.library_path(ns3, "g++ 12")
    shutil.copytree(library.SOURCES, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(library, "SOURCES", tmp_path)
    assert library.library_path(ns3, "g++ 12").name == before.name
    assert library.library_path(ns3, "g++ 12") == before
    (tmp_path / "network.h").write_text("// changed")
    assert library.library_path(ns3, "g++ 12") != before


def test_a_missing_wheel_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(library.LibraryError, match=r"pip install 'cosim\[ns3\]'"):
        library.find_ns3()


def test_a_missing_compiler_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(library.LibraryError, match="apt-get install"):
        library.find_compiler()


def test_a_library_in_the_cache_is_not_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ns3 = library.find_ns3()
    cached = library.library_path(ns3, library.find_compiler()[1])
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert library.build(ns3) == cached
    assert cached.stat().st_size == 0


def test_a_source_that_does_not_compile_shows_the_command_and_the_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(library, "SOURCES", tmp_path)
    (tmp_path / "broken.cc").write_text("this is no C++")
    with pytest.raises(library.LibraryError, match=r"(?s)broken\.cc.*error"):
        library.build(library.find_ns3())
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_building_ahead_names_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert library.main() == 0
    assert library.LIBRARY in capsys.readouterr().out
