"""Artefacts by hash: the only room that knows where a file lies, and whether it is whole."""

from rr_engine.vault.card import CLAIM_KIND, POINTER_KIND, Card, Claim, Pointer, code_version, version_of
from rr_engine.vault.store import Vault

__all__ = ["CLAIM_KIND", "POINTER_KIND", "Card", "Claim", "Pointer", "Vault", "code_version", "version_of"]
