"""Names that stand for names: stable, and no way back without the key."""

from __future__ import annotations

from hashlib import blake2b

KEY_BYTES = 32


class Pseudonyms:
    """Gives pseudonyms. The key stays with the broker: without it a guess cannot be checked."""

    def __init__(self, key: bytes) -> None:
        """Use *key*, `KEY_BYTES` random bytes."""
        self._key = key

    def of(self, kind: str, name: str) -> str:
        """Return what stands for *name*, such as ``user-3f9c0a12b4d7``."""
        text = f"{kind}\0{name}".encode("utf-8", "surrogateescape")
        return f"{kind}-{blake2b(text, key=self._key, digest_size=6).hexdigest()}"
