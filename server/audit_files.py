"""What an audit leaves behind: ``audit.json``, signed, and ``audit.html``.

Audit  ->  files, each whole or not at all
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from privacy.audit.auditing import Audit
from privacy.audit.document import Setting, for_page, pieces
from privacy.audit.sealing import sealed
from privacy.signing import SigningKey
from server.audit_page import DETAILED, render_audit
from server.results import prepare_output, write_files

DOCUMENT = "audit.json"
PAGE = "audit.html"


def write_audit(folder: Path, audit: Audit, setting: Setting, key: SigningKey | None) -> None:
    """Write the report for machines and for people.

    Parameters
    ----------
    folder : Path
        Made if it is not there; earlier reports in it are replaced.
    audit : Audit
        With details.
    setting : Setting
    key : SigningKey, optional
        The officer's.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    prepare_output(folder)

    digest = hashlib.sha256()

    def document(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(sealed(pieces(audit, setting), key, digest))

    def page(path: Path) -> None:
        content = for_page(audit, setting, most_releases=DETAILED)
        told = render_audit(content, key.public if key else None, digest.hexdigest())
        path.write_text(told, encoding="utf-8")

    # The page holds the document's digest, so it comes second.
    write_files(folder, {DOCUMENT: document, PAGE: page})
