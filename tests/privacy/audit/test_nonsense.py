"""An owner who signs nonsense: the record is named, and nothing after it has to expect it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from privacy.audit.ledger_audit import Verdict, audit_ledger
from privacy.errors import DamagedLedgerError
from privacy.records import add_up
from privacy.signing import SigningKey
from tests.privacy.audit.signed_anew import History, Replies, history_of, sign_anew
from tests.privacy.damaged_ledger import Specimen


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey.create(tmp_path_factory.mktemp("owner") / "a.key")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, Replies]:
    """Return a history with every kind of record: the specimen's, and an adoption."""
    specimen = Specimen(tmp_path_factory.mktemp("told"), witnessed=False)
    history, replies = history_of(specimen.path)
    kinds = {kind for _, kind, _ in history}
    if "adopted" not in kinds:
        history.append((history[-1][0], "adopted", {"file": "f", "reason": "moved"}))
    return history, replies


def changed(history: History, kind: str, /, **fields: Any) -> tuple[int, History]:
    """Return where the last record of a kind is, and a history in which it says other things."""
    place = max(place for place, line in enumerate(history) if line[1] == kind)
    time, _, content = history[place]
    return place, [*history[:place], (time, kind, content | fields), *history[place + 1 :]]


TOO_LONG_A_NUMBER = 10**400
NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("opened", {"format": 2}),
    ("opened", {"unit": "household"}),
    ("opened", {"adjacency": "far away"}),
    ("opened", {"file": 5}),
    ("opened", {"simulated": 1}),
    *(("opened", {name: text}) for name in ("region", "file") for text in ("\ud800", "a\x1b[2J")),
    *(
        ("opened", {name: delta})
        for name in ("delta", "lifetime_delta")
        for delta in (5.0, 0.0, -1e-6, 0.5, math.nan, 1e-320, TOO_LONG_A_NUMBER)
    ),
    ("window", {"start": "2026-01-01T00:00:00"}),
    ("window", {"start": "2026-01-01T00:00:00", "end": "2027-01-01T00:00:00"}),
    ("window", {"start": "2026-03-01T00:00:00+00:00", "end": "2026-03-01T00:00:00+00:00"}),
    ("window", {"start": "2026-03-01T00:00:00+00:00", "end": "2026-02-01T00:00:00+00:00"}),
    ("window", {"start": "2026-03-01T00:00:00+01:00"}),
    *(("window", {"by": by}) for by in ("nobody", None, math.nan, {"a": "b"})),
    ("rules", {"rules": {"a": math.nan}}),
    ("rules", {"policy": ["x"]}),
    *(
        ("reserved", {name: number})
        for name in ("sigma", "sensitivity", "clipping_norm")
        for number in (1e200, 1e-200, 1e-320, math.nan, math.inf, 0.0, -1.0, TOO_LONG_A_NUMBER)
    ),
    ("reserved", {"sigma": 1e-100, "sensitivity": 1e100}),
    ("reserved", {"sigma": 1e-10, "sensitivity": 1.0, "step": 0.0}),
    ("reserved", {"step": 1e-40}),
    ("reserved", {"participants": 2**70}),
    ("reserved", {"round_number": True}),
    *(
        ("reserved", {name: text})
        for name in ("purpose", "run", "noise", "server_key", "encoder", "code", "window", "kind")
        for text in ("\ud800", "a\nb", "\x1b[2J", "\u202efdp", "\x9b1A", 5, None)
    ),
    *(("committed", {"reply": reply}) for reply in (5, ["x"], "\ud800")),
    *(("committed", {"entry": entry}) for entry in (True, 99, "1")),
    ("failed", {"entry": None}),
    *(("adopted", {name: text}) for name in ("file", "reason") for text in (5, None, "\ud800")),
    *(
        ("refused", {name: text})
        for name in ("reason", "sentence", "run", "purpose", "time")
        for text in ("\ud800", "a\nb", 5)
    ),
]


@pytest.mark.parametrize(("kind", "fields"), NONSENSE)
def test_nonsense_that_its_owner_signed_is_refused_by_its_record(
    told: tuple[History, Replies],
    key: SigningKey,
    tmp_path: Path,
    kind: str,
    fields: dict[str, Any],
) -> None:
    history, replies = told
    place, history = changed(history, kind, **fields)
    path = tmp_path / "a.sqlite"
    records = sign_anew(path, key, history, replies)
    with pytest.raises(DamagedLedgerError, match=f"^Record {place + 1}( |$)"):
        add_up(records)
    found = audit_ledger(path)
    assert found.verdict is Verdict.FAIL
    assert f"Record {place + 1}" in " ".join(found.faults)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("opened", {"region": "Île-de-France 東京"}),
        ("opened", {"delta": 1e-30, "lifetime_delta": 1e-3}),
        ("reserved", {"sigma": 2.0**-16, "sensitivity": 1.0, "step": 0.0}),
        ("reserved", {"purpose": "Ernährung"}),
        ("committed", {"reply": None}),
        ("adopted", {"reason": "moved; l'été passé"}),
    ],
)
def test_what_is_unusual_and_makes_sense_is_read(
    told: tuple[History, Replies],
    key: SigningKey,
    tmp_path: Path,
    kind: str,
    fields: dict[str, Any],
) -> None:
    history, replies = told
    _, history = changed(history, kind, **fields)
    assert add_up(sign_anew(tmp_path / "a.sqlite", key, history, replies)).entries
