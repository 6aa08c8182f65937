"""The text of an invitation: a secret, and by what one knows the authority that made it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import Self

from res_federation.errors import PermissionDenied

_PREFIX = "rsi1_"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class InvitationText:
    """What an operator hands to a site's administrator.

    Attributes:
        fingerprint: SHA-256 of the authority's certificate: a site trusts on proof, not on first
            use.
        secret: 256 random bits.

    """

    fingerprint: bytes
    secret: bytes

    @classmethod
    def drawn(cls, fingerprint: str) -> Self:
        """Return a new one of the authority with this *fingerprint* (hexadecimal)."""
        return cls(bytes.fromhex(fingerprint), os.urandom(_BYTES))

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what *text* says.

        Raises:
            PermissionDenied: If it is not an invitation.

        """
        try:
            body = text.strip().removeprefix(_PREFIX)
            if not text.strip().startswith(_PREFIX) or not body.isascii():
                raise ValueError(text)
            whole = base64.b64decode(f"{body}==", altchars=b"-_", validate=True)
            if len(whole) != 2 * _BYTES:
                raise ValueError(text)
        except (ValueError, binascii.Error):
            raise PermissionDenied("the token is not an invitation", field="token") from None
        return cls(whole[:_BYTES], whole[_BYTES:])

    @property
    def text(self) -> str:
        """The words to hand over."""
        body = base64.urlsafe_b64encode(self.fingerprint + self.secret).decode().rstrip("=")
        return _PREFIX + body

    @property
    def digest(self) -> bytes:
        """What the broker keeps of it: nobody can come in with that."""
        return hashlib.sha256(self.secret).digest()
