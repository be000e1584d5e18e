"""Key files: who may read them, where they belong, and every way in which one cannot be used."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cosim.bridge.keys import KeyFileError, authorising, client_keys, host_keys, make_keys
from tests.scenario.test_command_line import cosim

FILES = {"engine-host.key", "engine-host.key_secret", "client.key_secret", "clients/client.key"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


def files(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_private_and_fit_together(keys: Path) -> None:
    assert set(files(keys)) == FILES
    assert {mode(keys / name) for name in FILES} == {0o600}
    assert {mode(keys), mode(keys / "clients")} == {0o700}
    host, client = host_keys(keys), client_keys(keys)
    assert client.host == host.public
    assert host.authorised() == {client.public: "client"}
    assert len({host.public, host.secret, client.public, client.secret}) == 4
    assert client_keys(keys / "client.key_secret") == client


def test_the_command_says_what_goes_where_and_never_overwrites(tmp_path: Path) -> None:
    made = cosim("keys", tmp_path / "keys")
    assert made.returncode == 0
    assert all(name in made.stdout for name in FILES)
    before = files(tmp_path / "keys")
    again = cosim("keys", tmp_path / "keys")
    assert again.returncode == 2
    assert "client.key_secret" in again.stderr
    assert "never overwritten" in again.stderr
    assert "Traceback" not in again.stderr
    assert files(tmp_path / "keys") == before


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_is_overwritten(tmp_path: Path, name: str) -> None:
    file = tmp_path / "keys" / name
    file.parent.mkdir(parents=True, mode=0o700)
    (tmp_path / "keys").chmod(0o700)
    file.symlink_to(tmp_path / "precious")
    with pytest.raises(KeyFileError, match="already there"):
        make_keys(tmp_path / "keys")
    assert not (tmp_path / "precious").exists()
    assert files(tmp_path / "keys") == {}


def test_a_further_client_leaves_the_host_its_key(keys: Path) -> None:
    before = files(keys)
    make_keys(keys, "second")
    assert before.items() <= files(keys).items()
    second = client_keys(keys / "second.key_secret")
    assert second.host == host_keys(keys).public
    assert host_keys(keys).authorised()[second.public] == "second"
    with pytest.raises(KeyFileError, match="holds 2 secret keys of clients"):
        client_keys(keys)


def test_a_key_is_let_in_by_the_command_that_is_shown(keys: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other")
    other = client_keys(tmp_path / "other").public
    text, _, file = authorising(keys, other.decode()).removeprefix("echo '").partition("' > ")
    Path(file).write_text(text + "\n")
    assert host_keys(keys).authorised()[other] == "NAME"


@pytest.mark.parametrize("name", ["../x", "engine-host", "", "a b", "x" * 65])
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="no name of a client"):
        make_keys(tmp_path / "keys", name)
    assert not (tmp_path / "keys").exists()


def test_a_directory_that_others_look_into_is_refused_unless_it_is_empty(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    (directory / "notes").touch()
    with pytest.raises(KeyFileError, match="chmod 700"):
        make_keys(directory)
    (directory / "notes").unlink()
    make_keys(directory)
    assert mode(directory) == 0o700


def use(keys: Path) -> None:
    """Change a directory of keys and read both sides of it."""
    host_keys(keys)
    client_keys(keys)


def text(content: str) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_text(content)

    return write


PUBLIC_OF_ANOTHER = "^PX-m]I6A.*{N?6bV:)(F1$B@cVPLxQ=1^Hq{5ag"


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("client.key_secret", Path.unlink, "holds 0 secret keys"),
        ("engine-host.key_secret", Path.unlink, "No such file"),
        ("engine-host.key", Path.unlink, "No such file"),
        ("client.key_secret", lambda file: file.chmod(0o640), "mode 0640.*chmod 600"),
        ("client.key_secret", lambda file: file.chmod(0o604), "mode 0604"),
        ("engine-host.key_secret", lambda file: file.chmod(0o660), "mode 0660"),
        ("clients", lambda folder: folder.chmod(0o722), "chmod go-w"),
        (".", lambda folder: folder.chmod(0o777), "chmod go-w"),
        ("client.key_secret", text(""), "No public key"),
        ("client.key_secret", text('public-key = "short"\nsecret-key = "short"'), "has 32 bytes"),
        ("client.key_secret", text(f'public-key = "{PUBLIC_OF_ANOTHER}"'), "has no secret key"),
        ("client.key_secret", text('public-key = "' + "~" * 40 + '"'), "no key file"),
        ("client.key_secret", text('public-key = "' + "#" * 40 + '"'), "no key file"),
        ("engine-host.key", text("x" * 5000), "no key file"),
    ],
)
def test_keys_that_cannot_be_used_are_named(keys: Path, name: str, change: Callable[[Path], None], what: str) -> None:
    use(keys)
    change(keys / name)
    with pytest.raises(KeyFileError, match=what):
        use(keys)


def test_a_pair_that_does_not_belong_together_is_named(keys: Path) -> None:
    file = keys / "client.key_secret"
    public, secret = client_keys(file).public.decode(), client_keys(file).secret.decode()
    file.write_text(file.read_text().replace(public, host_keys(keys).public.decode()))
    assert secret in file.read_text()
    with pytest.raises(KeyFileError, match="not that of its secret key"):
        client_keys(file)


def test_what_is_no_key_in_the_folder_of_clients_lets_nobody_in_and_keeps_nobody_out(keys: Path) -> None:
    before = host_keys(keys).authorised()
    (keys / "clients" / "broken.key").write_bytes(b"\xff\x00")
    (keys / "clients" / "folder.key").mkdir()
    (keys / "clients" / "gone.key").symlink_to("nowhere")
    assert host_keys(keys).authorised() == before
