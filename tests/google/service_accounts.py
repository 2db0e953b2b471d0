"""Service accounts: their keys, and the signed assertions they trade for a token (RFC 7523)."""

import base64
import json
from collections.abc import Mapping
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as to
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from server.demo.errors import Json

LONGEST_LIFE_S = 3600


def new_key() -> tuple[str, str]:
    """A fresh RSA key, made here and good for nothing else: private and public part (PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption()).decode()
    public = key.public_key().public_bytes(to.Encoding.PEM, to.PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


def verified_claims(assertion: str, keys: Mapping[str, str], now: float) -> Json:
    """What the assertion claims. Raises ``ValueError`` in Google's words when it proves nothing."""
    signed, _, signature = assertion.rpartition(".")
    try:
        header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
    except ValueError as error:
        raise ValueError("Invalid JWT: could not be parsed.") from error
    pem = keys.get(claims.get("iss", ""))
    if pem is None:
        raise ValueError("Invalid grant: account not found")
    key = cast(rsa.RSAPublicKey, to.load_pem_public_key(pem.encode()))
    if header.get("alg") != "RS256":
        raise ValueError("Invalid JWT: unknown algorithm.")
    try:
        key.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise ValueError("Invalid JWT Signature.") from error
    if not now - LONGEST_LIFE_S < claims["iat"] <= now + 60 or claims["exp"] <= now:
        raise ValueError(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim."
        )
    return dict(claims)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
