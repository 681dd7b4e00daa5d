"""What an operator sees of bundles before approving them, in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from deployment.agent.approvals import Approval, Approvals
from deployment.agent.bundle import Bundle
from deployment.agent.comparison import CodeComparison, changes
from deployment.agent.shown_text import shown


def describe_bundle(bundle: Bundle) -> Iterator[str]:
    """Say what a bundle is: hash, size, version, files."""
    yield f"{shown(bundle.name)} {shown(bundle.version)} (as it calls itself)"
    yield f"  SHA-256  {bundle.hash}"
    yield f"  {len(bundle.content)} bytes, {len(bundle.files)} files:"
    folders = Counter(name.partition("/")[0] for name in bundle.files if "/" in name)
    for folder, number in sorted(folders.items()):
        yield f"    {number:>4}  in {shown(folder)}/"
    for name in bundle.files:
        if "/" not in name:
            yield f"          {shown(name)}"


def describe_changes(old: Bundle | None, new: Bundle) -> Iterator[str]:
    """Say what changed since the last approved bundle: all of it, since what is cut can hide."""
    if old is None:
        yield "No bundle has been approved before: all of it is new. Unpack it to read it."
        return
    if old.hash == new.hash:
        yield "This is the bundle that was approved last."
        return
    yield f"Changes since the last approved one ({old.hash[:16]}...):"
    lines = list(changes(old, new))
    if not lines:
        yield "  The same files; the archive around them differs."
    for line in lines:
        yield f"  {line}"


def describe_code(found: CodeComparison) -> Iterator[str]:
    """Say whether a bundle's program is the installed one."""
    yield "What runs at this region is the installed program, never the bundle's."
    if found.is_installed:
        yield f"  The bundle holds the same program: {len(found.same)} files are equal."
    else:
        yield "  ! The bundle does NOT hold the installed program:"
        yield from _listed("different", found.different)
        yield from _listed("only in the bundle", found.only_bundle)
        yield from _listed("only installed", found.only_installed)
        yield (
            "    Its server may ask for what this program does not know, or mean something else "
            "by it. Install the release that the bundle was built from."
        )
    if found.others_differ:
        yield (
            f"  {len(found.others_differ)} files of the server's part differ; they run at the "
            "server only."
        )


FILES_NAMED = 10
"""Files that are named one by one."""


def _listed(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - FILES_NAMED} more" if len(names) > FILES_NAMED else ""
        yield f"    {what}: {', '.join(map(shown, names[:FILES_NAMED]))}{more}"


def describe_approvals(approvals: Approvals) -> Iterator[str]:
    """List what may run."""
    if not approvals.approved:
        yield "No bundle is approved: every message of a server is refused."
    for entry in approvals.approved:
        yield _line(entry, approvals.counts(entry))
    if approvals.release_keys:
        yield f"Release keys pinned: {', '.join(approvals.release_keys)}"


def _line(entry: Approval, counts: bool) -> str:
    by = f"release key {entry.release_key[:16]}..." if entry.release_key else "the operator"
    lapsed = "" if counts else "  LAPSED: that key is no longer pinned"
    return (
        f"{entry.hash}  {entry.approved:%Y-%m-%d %H:%M}  {shown(entry.name)} "
        f"{shown(entry.version)}, {entry.size} bytes, by {by}{lapsed}"
    )
