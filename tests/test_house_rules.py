"""House rules that no ready-made tool holds, read from sources. Every rule is shown to see a planted violation."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("rr_assets/**/*.py", "rr_engine/**/*.py", "benchmarks/**/*.py")
CODE = (*SHIPPED, "tests/**/*.py")
SETTINGS = ("pyproject.toml", "workspace.yaml", "dagster_home/*.yaml")
PAGES = ("*.md", "*.txt", "docs/**/*.md", "rr_engine/**/*.html", "rr_engine/**/*.js", "tests/**/*.toml")
TEXTS = (*CODE, *SETTINGS, *PAGES, "Makefile", "LICENSE", ".gitignore", ".ci/run")

FILE_LINES = 400
FUNCTION_LINES = 60
KERNEL_LINES = 80
KERNEL_SIGHT = {"__future__", "hashlib", "llvmlite", "math", "numba", "numpy", "pathlib", "typing"}
NO_ROOM = {"common", "daemon", "helpers", "legacy", "manager", "service", "utils", "v2"}
PICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNFIT = (
    ast.Raise, ast.Assert, ast.Try, ast.With, ast.Lambda, ast.List, ast.Dict, ast.Set,
    ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.Yield, ast.YieldFrom,
)  # fmt: skip
ALLOCATING = {
    "append", "arange", "array", "concatenate", "copy", "dict", "empty", "empty_like", "full", "list", "ones", "print",
    "set", "sorted", "zeros", "zeros_like",
}  # fmt: skip
BROAD = {"Exception", "BaseException"}

# Signs of the machine a text was written on, of a package index, and of work put off.
BANNED_TEXT = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:home|root|tmp|work)(?=[/\s\"'`)]|$)"),
    "a package index": re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|--\S*index-url|--find-links"),
    "work put off": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
}
BARE_SILENCE = re.compile(r"#\s*(?:noqa|type:\s*ignore|(?:based)?pyright:\s*ignore)(?!\S*(?::\s*|\[)[\w, ]+\]?\s+- \w)")


def broad_handlers(path: str, source: str) -> Iterator[str]:
    """Bare `except`, `Exception` in any form, and its suppression, even where it is logged or raised again."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type]
        elif isinstance(node, ast.Call) and _last_name(node.func) == "suppress":
            caught = list(node.args)
        else:
            continue
        for part in caught:
            if part is None or BROAD & {_last_name(inner) for inner in ast.walk(part)}:
                yield f"{path}:{node.lineno} catches everything; name the error you can repair"


def lengths(path: str, source: str) -> Iterator[str]:
    """Files and functions beyond their limits."""
    if (lines := len(source.splitlines())) > FILE_LINES:
        yield f"{path} has {lines} lines, at most {FILE_LINES}"
    limit = KERNEL_LINES if path.startswith("rr_engine/kernels/") else FUNCTION_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > limit:
                yield f"{path}:{node.lineno} {node.name} has {lines} lines, at most {limit}"


def stray_triggers(path: str, source: str) -> Iterator[str]:
    """Conditions, sensors and schedules outside rr_assets/automation.py."""
    if path == "rr_assets/automation.py":
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster"):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute) and _last_name(node.value) in {"dg", "dagster"}:
            names = [node.attr]
        else:
            continue
        for name in names:
            if re.search(r"AutomationCondition|[Ss]ensor|[Ss]chedule", name):
                yield f"{path}:{node.lineno} names {name}; only rr_assets/automation.py may"


def kernel_imports(path: str, source: str) -> Iterator[str]:
    """Kernels that import more than numpy, numba and each other."""
    if path.startswith("rr_engine/kernels/"):
        for name in _imports(source):
            if name.partition(".")[0] not in KERNEL_SIGHT and not name.startswith("rr_engine.kernels"):
                yield f"{path} imports {name}; a kernel sees numpy, numba and kernels"


def unfit_kernels(path: str, source: str) -> Iterator[str]:
    """What compiled code for a GPU cannot do: allocate, raise, hold lists, sets or dictionaries."""
    for function in ast.walk(ast.parse(source)):
        decorators = {_last_name(node) for node in getattr(function, "decorator_list", [])}
        if not decorators & {"kernel", "entry"}:
            continue
        for node in ast.walk(function):
            call = _last_name(node.func) if isinstance(node, ast.Call) else ""
            if isinstance(node, UNFIT) or call in ALLOCATING:
                what = call or type(node).__name__
                yield f"{path}:{node.lineno} {function.name} uses {what}; a kernel gets its memory and returns flags"


def pickles(path: str, source: str) -> Iterator[str]:
    """Formats that run code when they are read."""
    for name in _imports(source):
        if name.partition(".")[0] in PICKLERS:
            yield f"{path} imports {name}; nothing here is pickled"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            yield f"{path}:{node.lineno} allows pickle"


def postponed_annotations(path: str, source: str) -> Iterator[str]:
    """Annotations as text, where Dagster reads them."""
    if path.startswith("rr_assets/") and "__future__.annotations" in _imports(source):
        yield f"{path} postpones annotations, which breaks the type of `context`"


def roomless_names(path: str, source: str) -> Iterator[str]:
    """Modules and folders named after no purpose."""
    parts = set(re.split(r"[/_.]", path))
    if found := NO_ROOM & parts:
        yield f"{path} is named {', '.join(sorted(found))}: find it a room"


def unexplained_silence(path: str, source: str) -> Iterator[str]:
    """Silenced linters and type checkers without rule and reason."""
    for number, line in enumerate(source.splitlines(), 1):
        if BARE_SILENCE.search(line):
            yield f"{path}:{number} silences without a reason; write `# noqa: RULE - reason`"


def banned_text(path: str, source: str) -> Iterator[str]:
    """Texts that belong to one machine or to another day."""
    for number, line in enumerate(source.splitlines(), 1):
        for what, pattern in BANNED_TEXT.items():
            if match := pattern.search(line):
                yield f"{path}:{number} holds {what}: {match[0]}"


def unimported(modules: dict[str, str], settings: str) -> list[str]:
    """Modules (by dotted name, with source) that no other imports and no settings file names."""
    imported = {name for module, source in modules.items() for name in _imports(source) if name != module}
    return [
        f"nobody imports {module}"
        for module in modules
        if module not in imported and not _is_entry(module) and not re.search(rf"\b{re.escape(module)}\b", settings)
    ]


def _is_entry(module: str) -> bool:
    """Whether tools load this module by its place: packages, the command line and what Dagster looks for."""
    return module.endswith(("__init__", ".cli", ".definitions", "__main__")) or module.startswith("rr_assets.defs.")


def _imports(source: str) -> set[str]:
    """Dotted names a source imports; `from a import b` gives `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _read(patterns: Iterable[str]) -> dict[str, str]:
    """Sources by their path from the root; this file is left out of texts, for it must spell what it bans."""
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


RULES = {
    broad_handlers: SHIPPED,
    lengths: CODE,
    stray_triggers: SHIPPED,
    kernel_imports: SHIPPED,
    unfit_kernels: SHIPPED,
    pickles: CODE,
    postponed_annotations: SHIPPED,
    roomless_names: CODE,
    unexplained_silence: CODE,
    banned_text: TEXTS,
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule):
    sources = _read(RULES[rule])
    sources.pop(Path(__file__).relative_to(ROOT).as_posix(), None)
    assert sources
    assert [complaint for path, source in sources.items() for complaint in rule(path, source)] == []


def test_this_file_keeps_the_lengths_it_asks_for():
    assert list(lengths(Path(__file__).name, Path(__file__).read_text(encoding="utf-8"))) == []


def test_every_module_is_imported_by_another():
    modules = {
        path.removesuffix(".py").replace("/", "."): source
        for path, source in _read(SHIPPED).items()
        if not path.startswith("benchmarks/")
    }
    assert unimported(modules, "".join(_read(SETTINGS).values())) == []


KERNEL = "rr_engine/kernels/turn.py"
ASSET = "rr_assets/defs/games.py"
LONG = "def f():\n" + "    x = 1\n" * 70

PLANTED = [
    (broad_handlers, ASSET, "try:\n    f()\nexcept Exception as error:\n    log(error)\n    raise\n"),
    (broad_handlers, ASSET, "try:\n    f()\nexcept:\n    pass\n"),
    (broad_handlers, ASSET, "try:\n    f()\nexcept (KeyError, BaseException):\n    pass\n"),
    (broad_handlers, ASSET, "try:\n    f()\nexcept builtins.Exception:\n    pass\n"),
    (broad_handlers, ASSET, "with contextlib.suppress(Exception):\n    f()\n"),
    (lengths, ASSET, LONG),
    (lengths, KERNEL, LONG + "    x = 1\n" * 10),
    (lengths, ASSET, "x = 1\n" * 401),
    (stray_triggers, ASSET, "x = dg.AutomationCondition.eager()"),
    (stray_triggers, ASSET, "from dagster import AutomationCondition as AC"),
    (stray_triggers, "rr_assets/definitions.py", "@dg.sensor(job=x)\ndef f(context): ..."),
    (stray_triggers, "rr_assets/definitions.py", "x = dagster.AutomationConditionSensorDefinition('x', target='*')"),
    (stray_triggers, ASSET, "x = dg.ScheduleDefinition(job=x, cron_schedule='* * * * *')"),
    (kernel_imports, KERNEL, "import torch"),
    (kernel_imports, KERNEL, "from rr_engine.errors import RulesError"),
    (unfit_kernels, KERNEL, "@kernel\ndef f(x):\n    if x:\n        raise ValueError"),
    (unfit_kernels, KERNEL, "@entry\ndef f(x):\n    return np.zeros(x)"),
    (unfit_kernels, KERNEL, "@kernel\ndef f(x):\n    return [x]"),
    (pickles, ASSET, "import pickle"),
    (pickles, ASSET, "x = np.load(path, allow_pickle=True)"),
    (postponed_annotations, ASSET, "from __future__ import annotations"),
    (roomless_names, "rr_engine/utils.py", ""),
    (roomless_names, "rr_assets/game_manager.py", ""),
    (unexplained_silence, ASSET, "x = 1  # noqa"),
    (unexplained_silence, ASSET, "x = 1  # noqa: E501"),
    (unexplained_silence, ASSET, "x = 1  # type: ignore"),
    (unexplained_silence, ASSET, "x = 1  # pyright: ignore[reportCallIssue]"),
    (banned_text, "docs/runbook.md", "see /home/me/project"),
    (banned_text, ASSET, 'path = Path("/tmp")'),
    (banned_text, "constraints.txt", "--extra-index-url https://example.com"),
    (banned_text, "README.md", "from https://pypi.org/project/numba"),
    (banned_text, ASSET, "x = 1  # TODO: two"),
]


@pytest.mark.parametrize(("rule", "path", "source"), PLANTED)
def test_a_planted_violation_is_seen(rule, path, source):
    assert list(rule(path, source))


INNOCENT = [
    (broad_handlers, ASSET, "try:\n    f()\nexcept (KeyError, OSError):\n    pass\nraise Exception\n"),
    (lengths, KERNEL, LONG),
    (stray_triggers, "rr_assets/automation.py", "x = dg.AutomationCondition.eager()"),
    (stray_triggers, ASSET, "@dg.asset(automation_condition=automation.ON_NEW_CHAMPION)\ndef f(): ..."),
    (kernel_imports, KERNEL, "import numpy as np\nfrom rr_engine.kernels.bits import popcount"),
    (kernel_imports, "rr_engine/nn/trunk.py", "import torch"),
    (unfit_kernels, KERNEL, "@kernel\ndef f(x):\n    return np.int64(x), x\n\ndef g():\n    return [np.zeros(3)]"),
    (pickles, ASSET, "x = np.load(path, allow_pickle=False)"),
    (roomless_names, "rr_engine/move.py", ""),
    (unexplained_silence, ASSET, "x = 1  # noqa: E501 - a table reads better unbroken"),
    (unexplained_silence, ASSET, "x = 1  # pyright: ignore[reportCallIssue] - its stub is wrong"),
    (banned_text, "docs/runbook.md", "a root, a home; docs/tmp/x, https://example.com/home/x"),
]


@pytest.mark.parametrize(("rule", "path", "source"), INNOCENT)
def test_what_is_allowed_passes(rule, path, source):
    assert list(rule(path, source)) == []


def test_an_orphan_is_seen_and_entries_are_not_orphans():
    modules = {
        "rr_engine.__init__": "",
        "rr_engine.cli": "from rr_engine import game",
        "rr_engine.game": "import rr_engine.move",
        "rr_engine.move": "",
        "rr_engine.orphan": "import rr_engine.orphan",
        "rr_assets.defs.games": "",
        "rr_assets.coordinator": "",
    }
    assert unimported(modules, "module: rr_assets.coordinator") == ["nobody imports rr_engine.orphan"]
