"""The key that signs heads of the audit log: Ed25519, made once, readable by its owner only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from res_federation.errors import InvalidArgument

_MOST_BYTES = 64 * 1024  # of a key file


class AuditKey:
    """Signs; gives its public half to everybody."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Sign with *key*."""
        self._key = key

    @classmethod
    def at(cls, path: Path) -> AuditKey:
        """Return the key in a file, which is made where it is not there yet.

        Raises:
            InvalidArgument: If the file is not ours alone, or holds no such key.

        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
            return cls(_read(path))
        except OSError as error:
            raise _unusable(path, error.strerror or "cannot be read") from error

    def sign(self, message: bytes) -> bytes:
        """Return the signature of *message*, 64 bytes."""
        return self._key.sign(message)

    @property
    def public_pem(self) -> str:
        """The public half as PEM."""
        public = self._key.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def checking(pem: bytes, *, name: str) -> Callable[[bytes, bytes], bool]:
    """Return what checks (message, signature) with the public key in *pem*, called *name*.

    Raises:
        InvalidArgument: If that is no public Ed25519 key.

    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidArgument(
            f"{name} holds no public Ed25519 key", field="--key", way_out="resfed audit key > FILE"
        )
    public = key

    def check(message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


def _make(path: Path) -> None:
    """Make a key file whole or not at all; one that is there already stays."""
    if os.path.lexists(path):
        return
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(part, path)  # never replaces: the key of a log is for ever
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _read(path: Path) -> Ed25519PrivateKey:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(file, "rb") as source:
        seen = os.fstat(source.fileno())
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.getuid():
            raise _unusable(path, "is not a file of this account")
        if seen.st_mode & 0o077:
            raise _unusable(path, "can be read by others (chmod 600)")
        pem = source.read(_MOST_BYTES)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "holds no Ed25519 key in PEM")
    return key


def _unusable(path: Path, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"{path}: {why}", field="audit key", way_out="put the key of this federation's log back"
    )
