"""CURVE keys of an engine host and its clients, as files (https://rfc.zeromq.org/spec/26/).

`NAME.key` has a public key, `NAME.key_secret` both of a pair, in the format of pyzmq's `zmq.auth`. A directory of keys:

    engine-host.key_secret   stays on the host
    engine-host.key          goes to each client
    client.key_secret        goes to the client, and nowhere else
    clients/client.key       stays on the host: who has a public key here may come in
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.auth import load_certificate
from zmq.utils import z85

HOST = "engine-host"
CLIENT = "client"
CLIENTS = "clients"
PUBLIC = ".key"
SECRET = ".key_secret"
MOST_BYTES = 4096
KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What says nothing about a file: this process, or the machine, has no descriptor or no memory left.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class KeyFileError(Exception):
    """A key file is missing, cannot be used or is in the way; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a client needs: its own pair, which `file` has, and the host's public key."""

    public: bytes
    secret: bytes
    host: bytes
    file: Path


@dataclass(frozen=True, slots=True)
class HostKeys:
    """What a host needs: its own pair, and the folder with the public keys that may come in."""

    public: bytes
    secret: bytes
    clients: Path

    def authorised(self) -> dict[bytes, str]:
        """Names of the clients by public key, as the folder is now. Raises OSError if it cannot be read."""
        known = {}
        for name in sorted(os.listdir(self.clients)):
            file = self.clients / name
            if file.suffix != PUBLIC:
                continue
            try:
                known[_public_key(file)] = file.stem
            except KeyFileError as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in _EXHAUSTED:
                    raise error.__cause__ from None
        return known


def make_keys(directory: Path, client: str = CLIENT) -> list[Path]:
    """Make the host's pair, unless it is there, and a client's; returns the new files.

    Directories are 0700, files 0600, from their first byte. Raises KeyFileError rather than replace a file.
    """
    if client == HOST or not _NAME.fullmatch(client):
        raise KeyFileError(f"{client!r} is no name of a client; letters, digits, _ and -, and not {HOST}")
    public, secret = zmq.curve_keypair()
    files = {
        directory / f"{client}{SECRET}": _text(public, secret),
        directory / CLIENTS / f"{client}{PUBLIC}": _text(public),
    }
    if not (directory / f"{HOST}{SECRET}").exists():
        public, secret = zmq.curve_keypair()
        files[directory / f"{HOST}{SECRET}"] = _text(public, secret)
        files[directory / f"{HOST}{PUBLIC}"] = _text(public)
    in_the_way = [str(file) for file in files if os.path.lexists(file)]
    if in_the_way:
        what = f"{', '.join(in_the_way)}: already there, and a key is never overwritten"
        raise KeyFileError(f"{what}; choose another directory, or --client NAME for a further client")
    made: list[Path] = []
    try:
        for folder in (directory, directory / CLIENTS):
            _make_private(folder)
        for file, text in files.items():
            _write_private(file, text)
            made.append(file)
    except OSError as error:
        for file in made:
            file.unlink(missing_ok=True)
        raise KeyFileError(f"{error.filename or directory}: {error.strerror}; choose another directory") from error
    return made


def placement(directory: Path, client: str = CLIENT) -> str:
    """Which file of a directory goes where, for people."""
    width = max(len(client) + len(CLIENTS) + len(PUBLIC) + 1, len(HOST) + len(SECRET))
    files = {
        f"{HOST}{SECRET}": "secret; stays on the engine host",
        f"{CLIENTS}/{client}{PUBLIC}": "stays on the engine host: who has a public key in this folder may come in",
        f"{client}{SECRET}": "secret; copy it to the client, then remove it from the engine host",
        f"{HOST}{PUBLIC}": "copy it to the client, beside the other",
    }
    lines = [f"keys in {directory}:", *(f"  {name:{width}}  {what}" for name, what in files.items())]
    lines += [
        f"on the engine host:  cosim engine-host --listen tcp://0.0.0.0:PORT --keys {directory}",
        'in the scenario:     hardware: {kind: remote, address: "tcp://HOST:PORT", key: DIRECTORY_OF_BOTH}',
        "Who has a client's key can have the host do whatever vLLM can do there: it is worth as much as a login.",
    ]
    return "\n".join(lines)


def authorising(directory: Path | str, key: str) -> str:
    """The command that lets a public key in. Neither a shell's quote nor a space is in the alphabet of keys, Z85."""
    return f"echo 'public-key = \"{key}\"' > {directory}/{CLIENTS}/NAME{PUBLIC}"


def client_keys(path: Path) -> ClientKeys:
    """The keys of a client: `path` is its secret file, or a directory with one. Raises KeyFileError."""
    file = path
    with _reading(path):
        directory = path.is_dir()
    if directory:
        found = [file for file in sorted(path.glob(f"*{SECRET}")) if file.name != f"{HOST}{SECRET}"]
        if len(found) != 1:
            names = f" ({', '.join(file.name for file in found)})" if found else ""
            raise KeyFileError(f"{path} holds {len(found)} secret keys of clients{names}; name the file")
        file = found[0]
    public, secret = _pair(file)
    return ClientKeys(public, secret, _public_key(file.with_name(f"{HOST}{PUBLIC}")), file)


def host_keys(directory: Path) -> HostKeys:
    """The keys of a host. Raises KeyFileError."""
    public, secret = _pair(directory / f"{HOST}{SECRET}")
    clients = directory / CLIENTS
    if not clients.is_dir():
        raise KeyFileError(f"{clients} is no folder; it has the public keys of those who may come in")
    for folder in (directory, clients):
        if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise KeyFileError(f"{folder}: others can write into it; type: chmod go-w {folder}")
    return HostKeys(public, secret, clients)


def _pair(file: Path) -> tuple[bytes, bytes]:
    with _reading(file):
        mode = file.stat().st_mode
        if mode & OTHERS:
            raise KeyFileError(f"{file}: others can use it (mode {stat.S_IMODE(mode):04o}); type: chmod 600 {file}")
    public, secret = _load(file)
    if secret is None:
        raise KeyFileError(f"{file} has no secret key; `cosim keys DIR` makes a pair")
    # A secret key has one public key: a file whose two do not belong together would be refused without a reason.
    if zmq.curve_public(secret) != public:
        raise KeyFileError(f"{file}: its public key is not that of its secret key; make a new pair")
    return public, secret


def _public_key(file: Path) -> bytes:
    return _load(file)[0]


def _load(file: Path) -> tuple[bytes, bytes | None]:
    with _reading(file):
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise KeyFileError(f"{file} is no key file; `cosim keys DIR` makes them")
        try:
            public, secret = load_certificate(file)
            whole = all(key is None or len(z85.decode(key)) == KEY_BYTES for key in (public, secret))
        except (ValueError, LookupError, struct.error) as error:
            raise KeyFileError(f"{file} is no key file ({error}); `cosim keys DIR` makes them") from error
    if not whole:
        raise KeyFileError(f"{file} is no key file (a key has {KEY_BYTES} bytes); `cosim keys DIR` makes them")
    return public, secret


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyFileError(f"{file}: {error.strerror or error}; `cosim keys DIR` makes keys") from error


def _text(public: bytes, secret: bytes | None = None) -> str:
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines = ["# Secret: not for anybody else.", *lines, f'    secret-key = "{secret.decode()}"']
    return "\n".join(lines) + "\n"


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & OTHERS:
        if any(folder.iterdir()):
            raise KeyFileError(
                f"{folder}: others can look into it; type: chmod 700 {folder}, or choose a new directory"
            )
        folder.chmod(0o700)


def _write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as output:
        output.write(text)
