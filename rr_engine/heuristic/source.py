"""What identifies behaviour that stands in source code: its tokens, without comments, docstrings and layout."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import tokenize
from pathlib import Path

_LAYOUT = {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}


def code_digest(*modules: str, options: str = "") -> str:
    """SHA-256 over the code of `modules`, in order, and over `options`."""
    digest = hashlib.sha256(options.encode())
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(module)
        digest.update(code_of(Path(spec.origin).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def code_of(source: str) -> str:
    """The code of `source`, one logical line each; text that stands alone on a line is a docstring and left out."""
    lines: list[str] = []
    line: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            if line and not (len(line) == 1 and line[0].type == tokenize.STRING):
                lines.append(" ".join(part.string for part in line))
            line = []
        elif token.type not in _LAYOUT:
            line.append(token)
    return "\n".join(lines)
