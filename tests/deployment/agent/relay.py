"""A ServerApp that asks what it is told to, and tells what came back: it goes into a bundle.

Questions are files ``N.ask`` in the folder that its run-config names (a RecordDict as protobuf;
``N.to`` before it names the node, ``N.ttl`` how many seconds it is good), replies are files
``N.reply`` (JSON). ``stop`` ends it.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from flwr.app import Context, Message
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Relay until told to stop."""
    folder = Path(str(context.run_config["folder"]))
    (folder / "ready").touch()
    while not (folder / "stop").exists():
        for path in sorted(folder.glob("*.ask")):
            found = ask(grid, path)
            path.unlink()
            _write(path.with_suffix(".reply"), found)
        _write(folder / "nodes", sorted(str(node) for node in grid.get_node_ids()))
        time.sleep(0.05)


def ask(grid: Grid, path: Path) -> dict[str, Any]:
    """Send one question, and wait for its reply with short pauses."""
    content = recorddict_from_proto(ProtoRecordDict.FromString(path.read_bytes()))
    node = int(path.with_suffix(".to").read_text())
    told = path.with_suffix(".ttl")
    ttl = float(told.read_text()) if told.exists() else 120.0
    started = time.monotonic()
    ids = list(grid.push_messages([Message(content, node, "train", ttl=ttl)]))
    replies: list[Message] = []
    while not replies and time.monotonic() - started < 90:
        replies = list(grid.pull_messages(ids))
        time.sleep(0.0 if replies else 0.1)
    seconds = time.monotonic() - started
    if not replies:
        return {"seconds": seconds, "nothing": True}
    (reply,) = replies
    if reply.has_error():
        error = {"code": reply.error.code, "reason": reply.error.reason}
        return {"seconds": seconds, "error": error}
    packed = recorddict_to_proto(reply.content).SerializeToString()
    return {"seconds": seconds, "content": base64.b64encode(packed).decode()}


def _write(path: Path, content: Any) -> None:
    """Write in one step: somebody waits for the file."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(content))
    beside.replace(path)
