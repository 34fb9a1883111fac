"""Two vaults side by side: what only one of them has, and what is not the same in both. Changes nothing.

Which root of a folder is trusted: none of a vault in a folder of this machine, whose files are listed, since that costs
no network; of a distant vault the newest that its writers published, since whoever writes into a folder indexes it at
last. Files of a run that still works, or died before its end, are not in there yet; the next run there brings them in.
A distant folder without a root is listed, and so is everything if that is asked for.
"""

from dataclasses import dataclass, field

from rr_engine.errors import IndexDamageError
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.vault.backends import LocalBackend
from rr_engine.vault.index import Folder, Index
from rr_engine.vault.merkle import EMPTY, Difference, Trie, differences
from rr_engine.vault.store import Vault
from rr_engine.vault.traffic import CountedBackend, Traffic


class Side:
    """One of two vaults, and what is exchanged with it."""

    def __init__(self, vault: Vault, *, lists: bool = False) -> None:
        self.vault = vault
        self.local = vault.backend if isinstance(vault.backend, LocalBackend) else None
        self.lists = lists or self.local is not None  # what lies in a folder, and trusts no root
        self.exchanged = Traffic()
        self.backend = CountedBackend(vault.backend, self.exchanged)
        self.index = Index(self.backend)
        # What a vault of this machine lists and hashes to know its own files never leaves it.
        self.own = Index(CountedBackend(vault.backend, Traffic())) if self.local is not None else self.index
        self.roots = self.index.newest_of_all()

    def folders(self) -> set[Folder]:
        """All that hold something."""
        return {*self.own.folders(), *self.roots}

    def tree(self, folder: Folder, *, thorough: bool = False) -> Trie:
        """Of what lies in a folder; its nodes are read from the vault as they are asked for.

        `thorough` makes nodes anew that are missing or damaged, where the folder is listed.
        """
        root = self.roots[folder].root if folder in self.roots else EMPTY
        stored = self.index.stored(folder, root)
        if folder in self.roots and not self.lists:
            return stored
        listed = self.own.listed(folder, root=root, thorough=thorough)
        return Trie(listed.root, stored.fetch, listed.new)


@dataclass(frozen=True)
class Comparison:
    """How two vaults differ."""

    folders: int  # in either
    differences: dict[Folder, Difference] = field(default_factory=dict[Folder, Difference])  # where there are any
    a: Traffic = field(default_factory=Traffic)  # exchanged with the first
    b: Traffic = field(default_factory=Traffic)


def compare(a: Vault, b: Vault, *, lists: bool = False, watch: Watch = UNWATCHED) -> Comparison:
    """Compare two vaults; `lists` trusts no root of a distant one either.

    Raises VaultError for a folder that does not exist, IndexDamageError where a trusted tree cannot be read.
    """
    for vault in (a, b):
        vault.demand_there()
    sides = Side(a, lists=lists), Side(b, lists=lists)
    folders = sorted(sides[0].folders() | sides[1].folders())
    count = watch(Task("folders", len(folders)))
    found = {folder: _difference(folder, *sides) for folder in count.each(folders)}
    return Comparison(
        len(folders),
        {folder: difference for folder, difference in found.items() if difference},
        *(side.exchanged for side in sides),
    )


def _difference(folder: Folder, a: Side, b: Side) -> Difference:
    try:
        return differences(a.tree(folder), b.tree(folder))
    except IndexDamageError:
        if not (a.lists or b.lists):
            raise
        return differences(a.tree(folder, thorough=True), b.tree(folder, thorough=True))
