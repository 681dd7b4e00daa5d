"""Whether, why and at what cost the door answers says nothing about anybody's data."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import privacy
from privacy.code_identity import code_hash
from privacy.door import Door
from privacy.errors import LedgerError
from privacy.query import LARGEST_NUMBER, Contributions, NoiseKind, SumQuery, TrustModel
from privacy.release import LEDGER_UNUSABLE, Answer, ClippedSum, Refusal, Release
from privacy.signing import SigningKey
from privacy.window import Renewal
from tests.privacy.examples import NOW, SetClock, a_block, a_door, a_query, giving, users

QUERY = a_query(a_block(), a_block("counts", width=1))
LOCAL, CENTRAL = TrustModel.LOCAL, TrustModel.CENTRAL
Data = Mapping[str, Contributions]
Rules = Mapping[str, Any]

LENGTHS = st.sampled_from([0.0, 1e-30, 0.5, 1.0, 1e30, np.nan, np.inf])


@st.composite
def data_sets(draw: st.DrawFn) -> Data:
    n = draw(st.integers(0, 5))
    cells = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    lengths = draw(st.lists(LENGTHS, min_size=n, max_size=n))
    return {
        "sums": users([[length, -length] for length in lengths], cells),
        "counts": users(lengths, cells, width=1),
    }


def without(data: Data, user: int | slice) -> Data:
    return {
        name: Contributions(np.delete(part.cells, user), np.delete(part.rows, user, axis=0))
        for name, part in data.items()
    }


def neighbours(data: Data, user: int) -> list[Data]:
    """Return the data, the same with one user less, and those of an empty silo."""
    n = len(data["sums"].cells)
    return [data, without(data, user % n) if n else data, without(data, slice(None))]


def seen(answer: Answer) -> tuple[object, ...]:
    """Return all of an answer that must not depend on the data."""
    head = answer.head.sequence if answer.head else None
    about = (type(answer), answer.region, answer.run, answer.round_number, answer.purpose, head)
    if isinstance(answer, Refusal):
        return (*about, answer.reason, answer.sentence)
    shapes = {name: (array.shape, array.dtype) for name, array in answer.sums.items()}
    size = len(answer.to_bytes())
    charged = (answer.window, answer.entry, answer.sensitivity, answer.sigma)
    return (*about, shapes, size, charged)


def recorded(door: Door) -> object:
    """Return what the door's ledger says, but for the digests of the answers."""
    try:
        account = door.ledger.account()
    except LedgerError as error:
        return type(error)
    return account.entries, account.refusals, account.windows, account.sequence


# Each reason for a refusal, one by one.


def key(number: int) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


KNOWN, OTHER = key(1), key(2)
FORGED = replace(QUERY, server_key=KNOWN.public, signature=OTHER.sign(b"this request"))


def signed(query: SumQuery, by: SigningKey, expires: int = 4_000_000_000) -> SumQuery:
    named = replace(query, server_key=by.public, expires=expires)
    return replace(named, signature=by.sign(named.signed_message()))


Prepare = Callable[[Door, Data], None]


def nothing(door: Door, data: Data) -> None:
    """Leave the ledger as it is."""


def asked(query: SumQuery) -> Prepare:
    def prepare(door: Door, data: Data) -> None:
        door.answer(query, giving(data))

    return prepare


def crashed(door: Door, data: Data) -> None:
    door.ledger.reserve(QUERY, door.noise.kind)


def damaged(door: Door, data: Data) -> None:
    door.ledger.path.write_bytes(b"no database" * 999)


def asked_and_waited(days: float) -> Prepare:
    def prepare(door: Door, data: Data) -> None:
        asked(replace(QUERY, round_number=2))(door, data)
        clock = door.ledger.clock
        assert isinstance(clock, SetClock)
        clock.pass_days(days)

    return prepare


@dataclass(frozen=True)
class Situation:
    """A region's rules, what happened before, and what is asked now."""

    reason: str | None
    query: SumQuery = QUERY
    rules: Rules = field(default_factory=dict)
    before: Prepare = nothing


IN_ROUND_2 = replace(QUERY, round_number=2)
CENTRALLY = replace(QUERY, trust_model=CENTRAL)
SITUATIONS = {
    "allowed": Situation(None),
    "allowed and asked again": Situation(None, before=asked(QUERY)),
    "allowed centrally": Situation(None, CENTRALLY, {"trust_models": {CENTRAL}}),
    "allowed and signed": Situation(None, signed(QUERY, KNOWN), {"server_keys": {KNOWN.public}}),
    "good for ever": Situation(
        "no-expiry", signed(QUERY, KNOWN, 0), {"server_keys": {KNOWN.public}}
    ),
    "not signed": Situation("server-not-trusted", QUERY, {"server_keys": {KNOWN.public}}),
    "signed by another": Situation(
        "server-not-trusted", signed(QUERY, OTHER), {"server_keys": {KNOWN.public}}
    ),
    "forged": Situation("signature-wrong", FORGED, {"server_keys": {KNOWN.public}}),
    "forged where anybody may ask": Situation("signature-wrong", FORGED),
    "encoder": Situation("encoder-not-allowed", QUERY, {"encoders": {"encoder-1"}}),
    "code": Situation("code-not-allowed", QUERY, {"code_hashes": {"an approved version"}}),
    "central": Situation("trust-model-not-allowed", CENTRALLY),
    "noise": Situation("noise-kind-not-allowed", QUERY, {"noise_kinds": {NoiseKind.DISCRETE}}),
    "question": Situation("question-not-allowed", replace(QUERY, kind="item-weights")),
    "alone": Situation("too-few-participants", QUERY, {"fewest_participants": 2}),
    "too little noise": Situation("too-little-noise", replace(QUERY, sigma=0.5)),
    "too long": Situation("clipping-norm-too-large", QUERY, {"largest_clipping_norm": 0.9}),
    "over budget": Situation("budget-exhausted", QUERY, {"epsilon": 0.5}),
    "over the lifetime's": Situation(
        "lifetime-exhausted",
        QUERY,
        {"epsilon": 4.0, "lifetime_epsilon": 4.1},
        asked_and_waited(10),
    ),
    "too often": Situation(
        "too-many-releases", QUERY, {"most_releases_per_run": 1}, asked(IN_ROUND_2)
    ),
    "too early": Situation("window-not-begun", QUERY, {"start": NOW + timedelta(days=1)}),
    "too late": Situation(
        "window-over", QUERY, {"renewal": Renewal.BY_OPERATOR}, asked_and_waited(10)
    ),
    "clock": Situation("clock-went-back", QUERY, {}, asked_and_waited(-1)),
    "another question": Situation(
        "another-question-in-this-round", QUERY, {}, asked(replace(QUERY, nonce="another"))
    ),
    "crashed": Situation("already-charged", before=crashed),
    "expired": Situation("expired", replace(QUERY, expires=int(NOW.timestamp()) - 3600)),
    "damaged": Situation(LEDGER_UNUSABLE, before=damaged),
}


def outcome(situation: Situation, data: Data) -> tuple[Answer, object]:
    """Return the answer, and everything else that must not depend on the data."""
    with tempfile.TemporaryDirectory() as folder:
        door = a_door(Path(folder), **({"clock": SetClock()} | dict(situation.rules)))
        situation.before(door, data)
        answer = door.answer(situation.query, giving(data))
        return answer, (seen(answer), recorded(door))


@pytest.mark.parametrize("name", SITUATIONS)
@given(data=data_sets(), user=st.integers(0, 4))
@settings(max_examples=5, deadline=None)
def test_neighbouring_data_get_the_same_kind_of_answer(name: str, data: Data, user: int) -> None:
    situation = SITUATIONS[name]
    answers, outcomes = zip(
        *(outcome(situation, other) for other in neighbours(data, user)), strict=True
    )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    reason = answers[0].reason if isinstance(answers[0], Refusal) else None
    assert reason == situation.reason


def reasons_in(path: Path) -> set[str]:
    """Return the reasons that a module refuses with."""
    calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    refusing = [n for n in calls if ast.unparse(n.func) in ("RefusalError", "_check")]
    first = [node.args[0] for node in refusing if node.args]
    return {str(node.value) for node in first if isinstance(node, ast.Constant)}


def test_every_reason_of_the_privacy_layer_is_among_the_situations() -> None:
    found = {LEDGER_UNUSABLE}.union(*map(reasons_in, Path(*privacy.__path__).glob("*.py")))
    assert found == {situation.reason for situation in SITUATIONS.values()} - {None}


@given(data=data_sets())
@settings(max_examples=25, deadline=None)
def test_every_release_is_finite_and_noisy(data: Data) -> None:
    answer, _ = outcome(SITUATIONS["allowed"], data)
    assert isinstance(answer, Release)
    for array in answer.sums.values():
        assert np.isfinite(array).all()
        assert array.all()


# Whatever is asked, one request after the other.

RULES = st.fixed_dictionaries(
    {},
    optional={
        "epsilon": st.sampled_from([0.5, 3.0, 8.0]),
        "trust_models": st.sampled_from([{LOCAL, CENTRAL}, {LOCAL}, {CENTRAL}]),
        "noise_kinds": st.sets(st.sampled_from(NoiseKind), min_size=2),
        "fewest_participants": st.sampled_from([1, 3]),
        "most_releases_per_run": st.sampled_from([1, 2, 40]),
        "largest_clipping_norm": st.sampled_from([0.7, 2.0]),
        "server_keys": st.just({KNOWN.public}),
        "encoders": st.sampled_from([{"encoder-1"}, {"encoder-1"}, {"encoder-2"}]),
        "code_hashes": st.sampled_from([*[{code_hash()}] * 4, {"another"}]),
        "start": st.sampled_from([NOW - timedelta(days=1), NOW + timedelta(days=5)]),
        "renewal": st.sampled_from(Renewal),
        "noise": st.sampled_from(NoiseKind),
    },
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[float, SumQuery]:
    """Draw a request, valid or hostile, and how many days pass before it."""
    norm = draw(st.sampled_from([*[0.5] * 6, 1.0, 1e6]))
    query = a_query(
        a_block(clipping_norm=norm),
        a_block("counts", width=1, clipping_norm=draw(st.sampled_from([1e-6, 0.5]))),
        sigma=norm * draw(st.sampled_from([2.0, 3.0, 3.0, 40.0, 40.0, 1e-3])),
        trust_model=draw(st.sampled_from([*[LOCAL] * 4, CENTRAL])),
        run=draw(st.sampled_from(["run-1", "run-1", "../run-2"])),
        round_number=draw(st.sampled_from([1, 2, 3, 0, LARGEST_NUMBER])),
        kind=draw(st.sampled_from([*["cell-sums"] * 8, "'; drop table"])),
        nonce=draw(st.sampled_from(["digest", "another"])),
        participants=draw(st.sampled_from([3, 3, 1, LARGEST_NUMBER])),
        encoder=draw(st.sampled_from([*["encoder-1"] * 4, ""])),
    )
    sign = draw(st.sampled_from([*[KNOWN] * 9, None, None, OTHER, "forged", "nonsense"]))
    if isinstance(sign, SigningKey):
        query = signed(query, sign, draw(st.sampled_from([*[4_000_000_000] * 8, 0])))
    elif sign == "forged":
        query = replace(query, server_key=KNOWN.public, signature=OTHER.sign(b"other"))
    elif sign == "nonsense":
        query = replace(query, server_key="no key", signature="no signature")
    return draw(st.sampled_from([0.0, 0.0, 0.0, 4.0, 10.0, -1.0])), query


@given(
    rules=RULES,
    asked=st.lists(requests(), min_size=1, max_size=5),
    data=data_sets(),
    user=st.integers(0, 4),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_asked_neighbouring_data_get_the_same_kinds_of_answers(
    rules: Rules, asked: list[tuple[float, SumQuery]], data: Data, user: int
) -> None:
    histories = [history(rules, asked, other) for other in neighbours(data, user)]
    assert histories[0] == histories[1] == histories[2]


def history(rules: Rules, asked: list[tuple[float, SumQuery]], data: Data) -> list[object]:
    """Return all that is seen of the answers to some requests, and what the ledger says then."""
    clock = SetClock()
    found: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        door = a_door(Path(folder), **({"clock": clock} | dict(rules)))
        for days, query in asked:
            clock.pass_days(days)
            answer = door.answer(query, giving(data))
            assert isinstance(answer, Release | ClippedSum | Refusal)
            found.append(seen(answer))
        return [*found, recorded(door)]


def test_the_comparison_notices_a_refusal_that_depends_on_data() -> None:
    def curious(door: Door, data: Data) -> None:
        if len(data["sums"].cells) < 2:
            door.answer(replace(QUERY, nonce="another"), giving(data))

    everybody = {"sums": users([[1, 2], [3, 4]]), "counts": users([1, 1], width=1)}
    one, other = (
        outcome(Situation(None, before=curious), data)[1] for data in neighbours(everybody, 0)[:2]
    )
    assert one != other
