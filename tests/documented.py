"""What the pages of the project hold: commands, snippets of Python, links and names of files, with where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))))
OURS = "rr|rr-[a-z]+"

_SHELL = {"", "sh", "bash", "shell", "console"}  # "" also for indented blocks
_TEXT = "text of the page"
_PROGRAMS = (
    f"{OURS}|dagster|dagster-webserver|dagster-daemon|make|python3?|pytest|pip|apt|apt-get|curl|docker|ssh|rsync"
    "|mkdir|export|eval"
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ +)*(?:{_PROGRAMS})(?= |$)")
_COMMENT = re.compile(r"(?:^|\s+)#\s.*")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(
    r"(?<![\w./-])(?:docs|tests|benchmarks|rr_engine|rr_assets|dagster_home)/[\w./*-]*\.(?:py|md|toml|yaml|png|svg)\b"
)


@dataclass(frozen=True)
class Part:
    """A block of code, a paragraph or a row of a table."""

    page: str
    language: str
    lines: tuple[str, ...]

    @property
    def is_shell(self) -> bool:
        return self.language in _SHELL

    @property
    def commands(self) -> tuple[str, ...]:
        """What somebody would type: whole lines of a block that holds a command, commands in the code of a text."""
        if self.is_shell:
            lines = re.sub(r"\\\n\s*", "", "\n".join(self.lines)).splitlines()
            typed = tuple(filter(None, (_COMMENT.sub("", line).strip() for line in lines)))
            return typed if any(map(_COMMAND.match, typed)) else ()
        if self.language == _TEXT:
            codes = (" ".join(code.split()) for code in _CODE.findall("\n".join(self.lines)))
            return tuple(code for code in codes if _COMMAND.match(code) and (" " in code or re.fullmatch(OURS, code)))
        return ()


def _parts(page: str) -> Iterator[Part]:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        begin = at
        if fence := re.match(r"```(\w*)", lines[at]):
            at = lines.index("```", at + 1)
            yield Part(page, fence[1], tuple(lines[begin + 1 : at]))
        elif lines[at].startswith("    "):
            while at + 1 < len(lines) and (lines[at + 1].startswith("    ") or not lines[at + 1]):
                at += 1
            yield Part(page, "", tuple(line[4:] for line in lines[begin : at + 1]))
        elif lines[at].startswith("|"):
            yield Part(page, _TEXT, (lines[at],))
        elif lines[at]:
            while at + 1 < len(lines) and re.match(r"(?!```|\|).", lines[at + 1]):
                at += 1
            yield Part(page, _TEXT, tuple(lines[begin : at + 1]))
        at += 1


PARTS = tuple(part for page in PAGES for part in _parts(page))
SNIPPETS = tuple((part.page, "\n".join(part.lines)) for part in PARTS if part.language == "python")
LANGUAGES = {part.language for part in PARTS} - _SHELL - {_TEXT}
NO_COMMANDS = {part.lines[0] for part in PARTS if part.is_shell and not part.commands}  # first lines of blocks


def _found(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    texts = [(part.page, line) for part in PARTS if part.language == _TEXT for line in part.lines]
    return [(page, match) for page, line in texts for match in pattern.findall(line)]


LINKS = [(page, target) for page, target in _found(_LINK) if not re.match(r"\w+:", target)]
FILES = _found(_FILE)


def anchors(page: str) -> set[str]:
    """What a link may name behind `#`: headings as GitHub writes them."""
    headings = (part.lines[0] for part in PARTS if part.page == page and part.language == _TEXT)
    titles = (line.lstrip("# ").lower() for line in headings if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
