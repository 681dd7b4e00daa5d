"""Whatever an owner signs, an audit gets to its end: a document, a page and a terminal's lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit.auditing import audit
from privacy.audit.document import for_page, pieces, present_setting
from privacy.errors import DamagedLedgerError
from privacy.records import add_up, digest_of_rules
from privacy.signing import SigningKey
from server.audit_page import render_audit
from server.audit_view import show_audit
from tests.privacy.audit.signed_anew import History, Replies, history_of, sign_anew
from tests.privacy.damaged_ledger import Specimen

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(), max_size=12),
    st.sampled_from(
        ["", "\ud800", "\x1b[2J", "a\nb", "local", "central", "server", "seeded", "replace-one"]
    ),
    st.sampled_from(
        ["2026-03-01/2026-03-11", "2026-03-01T00:00:00+00:00", "0001-01-01T00:00:00+00:00"]
    ),
)
WHOLE = st.one_of(st.integers(-3, 12), st.integers(), st.just(10**400))
FLOATS = st.one_of(
    st.floats(),
    st.floats(1e-31, 1e31),
    st.sampled_from([1e-30, 1e30, 1e-320, 2.0**-16, 1e-6, 1e-3, 1.0, 0.0]),
)
OTHERS = st.one_of(st.none(), st.booleans(), st.lists(st.integers(), max_size=2), st.just({"a": 1}))


def values_like(value: Any) -> st.SearchStrategy[Any]:
    """Mostly other values of the same type, at times of any."""
    if isinstance(value, dict):
        return st.sampled_from(sorted(value)).flatmap(
            lambda name: values_like(value[name]).map(lambda other: {**value, name: other})
        )
    own: st.SearchStrategy[Any] = {str: TEXTS, int: WHOLE, float: FLOATS}.get(type(value), OTHERS)
    return st.one_of(own, own, own, TEXTS, WHOLE, FLOATS, OTHERS)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, Replies]:
    specimen = Specimen(tmp_path_factory.mktemp("told"), witnessed=False)
    history, replies = history_of(specimen.path)
    history.append((history[-1][0], "adopted", {"file": "f", "reason": "moved"}))
    return history, replies


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigningKey]:
    folder = tmp_path_factory.mktemp("owner")
    return folder / "a.sqlite", SigningKey.create(folder / "a.key")


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_nonsense_in_any_field_gets_an_audit_a_page_and_lines(
    told: tuple[History, Replies], owner: tuple[Path, SigningKey], data: st.DataObject
) -> None:
    history, replies = told
    history = list(history)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(history) - 1))
        time, kind, content = history[place]
        name = data.draw(st.sampled_from(sorted(content)))
        content = content | {name: data.draw(values_like(content[name]))}
        if kind == "rules" and data.draw(st.booleans()):
            history = with_rules(history, place, content["rules"])
        else:
            history[place] = time, kind, content
    path, key = owner
    records = sign_anew(path, key, history, replies)
    try:
        add_up(records)
        holds = True
    except DamagedLedgerError:
        holds = False
    found = audit([path])
    assert holds or found.ledgers[0].faults
    setting = present_setting()
    json.loads("".join(pieces(found, setting))).keys()
    render_audit(for_page(found, setting, most_releases=1000)).encode()
    show_audit(found)


def with_rules(history: History, place: int, rules: Any) -> History:
    """Return a history in which releases were made under other rules, by their digest."""
    content = history[place][2]
    digest = digest_of_rules(rules)
    old = content["policy"]
    return [
        (when, what, {"policy": digest, "rules": rules})
        if number == place
        else (when, what, said | {"policy": digest} if said.get("policy") == old else said)
        for number, (when, what, said) in enumerate(history)
    ]
