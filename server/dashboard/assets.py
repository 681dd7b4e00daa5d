"""Style sheet and scripts: from this package, under names that hold their hash.

A browser keeps them for a year; after an update the name is another.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.errors import VisitError
from server.dashboard.visitors import frame_of

FOLDER = Path(__file__).with_name("assets")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file as it is sent.

    Attributes
    ----------
    name : str
        With its hash, such as ``styles.1a2b3c4d5e6f7a8b.css``.
    kind : str
        Media type.
    content : bytes
    """

    name: str
    kind: str
    content: bytes

    @property
    def tag(self) -> str:
        """ETag."""
        return f'"{self.name.split(".")[-2]}"'

    @cached_property
    def zipped(self) -> bytes:
        """The content by gzip; made once."""
        return gzip.compress(self.content, 9, mtime=0)


class Assets:
    """All files of the folder that browsers get."""

    def __init__(self, folder: Path = FOLDER) -> None:
        files = [path for path in sorted(folder.iterdir()) if path.suffix in _TYPES]
        self._by_file = {path.name: _asset(path) for path in files}
        self._by_name = {asset.name: asset for asset in self._by_file.values()}

    def path(self, file: str) -> str:
        """Return where a browser gets a file, such as ``styles.css``."""
        return f"/assets/{self._by_file[file].name}"

    def named(self, name: str) -> Asset | None:
        """Return what has that name. No path is made of what was asked."""
        return self._by_name.get(name)


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(f"{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], content)


router = APIRouter(include_in_schema=False)


@router.api_route("/assets/{name}", methods=["GET", "HEAD"])
def asset(request: Request, name: str) -> Response:
    """Send a file of this package."""
    found = frame_of(request).assets.named(name)
    if found is None:
        raise VisitError(404, "404")
    headers = {"cache-control": _FOREVER, "etag": found.tag, "vary": "accept-encoding"}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        content = found.zipped
    return Response(content, headers=headers, media_type=found.kind)
