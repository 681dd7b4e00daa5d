from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privacy.door
from privacy.code_identity import code_hash
from privacy.door import Contribute, Door
from privacy.errors import ContributionError, LedgerError
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.query import Contributions, NoiseKind, SumQuery, TrustModel
from privacy.release import Answer, ClippedSum, Refusal, Release
from privacy.signed_head import SignedHead
from privacy.window import Window
from tests.privacy.examples import (
    NOW,
    SetClock,
    a_block,
    a_door,
    a_ledger,
    a_query,
    forbidden,
    giving,
    oracle_sum,
    users,
)

CENTRAL = TrustModel.CENTRAL
QUERY = a_query(a_block(), a_block("counts", width=1))
PEOPLE: dict[str, Contributions] = {
    "sums": users([[3, 4], [0.1, 0], [0, -9]], [0, 1, 1]),
    "counts": users([1, 1, 1], [0, 1, 1], width=1),
}
NOBODY: dict[str, Contributions] = {"sums": users([]), "counts": users([], width=1)}


def released(answer: Answer) -> Release:
    assert isinstance(answer, Release)
    return answer


def refused(answer: Answer) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


def test_answer_is_the_clipped_sum_with_noise(tmp_path: Path) -> None:
    door = a_door(tmp_path, least_noise_multiplier=1e-4, epsilon=1e12, lifetime_epsilon=1e12)
    release = released(door.answer(replace(QUERY, sigma=2e-4), giving(PEOPLE)))
    for block in QUERY.blocks:
        exact = oracle_sum(block, PEOPLE[block.name])
        np.testing.assert_allclose(release.sums[block.name], exact, atol=2e-3)
        assert (release.sums[block.name] != exact).all()


def test_release_says_what_it_is(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    release = released(door.answer(QUERY, giving(PEOPLE)))
    (entry,) = door.ledger.entries()
    assert (release.region, release.run, release.round_number) == ("north", "run-1", 1)
    assert release.purpose == QUERY.purpose
    assert (release.sensitivity, release.sigma) == (QUERY.sensitivity, QUERY.sigma)
    assert (release.noise, release.entry) == (NoiseKind.SEEDED, entry.entry)
    assert release.window == entry.window
    assert entry.state == "committed"


def test_every_answer_says_which_program_made_it(tmp_path: Path) -> None:
    door = a_door(tmp_path, trust_models={TrustModel.LOCAL, CENTRAL})
    exact = door.answer(replace(QUERY, round_number=2, trust_model=CENTRAL), giving(PEOPLE))
    assert isinstance(exact, ClippedSum)
    release = released(door.answer(QUERY, giving(PEOPLE)))
    refusal = refused(door.answer(replace(QUERY, sigma=2 * QUERY.sigma), forbidden()))
    assert {answer.code for answer in (exact, release, refusal)} == {code_hash()}
    assert all(answer.is_genuine for answer in (exact, release, refusal))


def test_blocks_of_one_release_have_different_noise(tmp_path: Path) -> None:
    twins = a_query(a_block("one"), a_block("other"))
    release = released(
        a_door(tmp_path).answer(twins, giving({"one": users([]), "other": users([])}))
    )
    assert not np.isin(release.sums["one"], release.sums["other"]).any()


def test_rounds_have_different_noise(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    one, other = (
        released(door.answer(replace(QUERY, round_number=n), giving(NOBODY))) for n in (1, 2)
    )
    assert not np.isin(one.sums["sums"], other.sums["sums"]).any()


def test_round_that_failed_does_not_lend_its_noise_to_the_next(tmp_path: Path) -> None:
    usual = released(a_door(tmp_path / "usual").answer(QUERY, giving(NOBODY)))
    door = a_door(tmp_path / "failing")
    with pytest.raises(AssertionError):
        door.answer(replace(QUERY, round_number=2), forbidden())
    again = released(door.answer(QUERY, giving(NOBODY)))
    assert not np.isin(again.sums["sums"], usual.sums["sums"]).any()


def test_empty_silo_answers_with_noise(tmp_path: Path) -> None:
    release = released(a_door(tmp_path).answer(QUERY, giving(NOBODY)))
    assert all(array.all() for array in release.sums.values())


# Order: reserve, compute, commit, send.


def test_users_are_touched_only_after_the_cost_is_reserved(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    seen: list[str] = []

    def contribute(window: Window) -> Mapping[str, Contributions]:
        seen.extend(entry.state for entry in a_ledger(tmp_path).entries())
        return PEOPLE

    door.answer(QUERY, contribute)
    assert seen == ["reserved"]


def test_noise_is_drawn_and_kept_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def noted(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            steps.append(name)
            return step(*args, **kwargs)

        return call

    for owner, name in ((Ledger, "reserve"), (Ledger, "commit")):
        monkeypatch.setattr(owner, name, noted(name, getattr(owner, name)))
    for name in ("clipped_sum", "add_noise"):
        monkeypatch.setattr(privacy.door, name, noted(name, getattr(privacy.door, name)))
    door = a_door(tmp_path)
    door.answer(a_query(), giving({"sums": PEOPLE["sums"]}))
    assert steps == ["reserve", "clipped_sum", "add_noise", "commit"]


class ModelError(Exception):
    pass


# Users who come some at a time.


def some_at_a_time(*batches: Mapping[str, Contributions]) -> Contribute:
    return lambda window: iter(batches)


def split(contributions: Mapping[str, Contributions], at: int) -> list[dict[str, Contributions]]:
    return [
        {name: Contributions(part.cells[some], part.rows[some]) for name, part in every}
        for every in [contributions.items()]
        for some in (slice(at), slice(at, None))
    ]


@pytest.mark.parametrize("at", [0, 1, 3])
def test_batches_give_the_answer_of_all_users_at_once(tmp_path: Path, at: int) -> None:
    usual = released(a_door(tmp_path / "once").answer(QUERY, giving(PEOPLE)))
    batches = some_at_a_time(*split(PEOPLE, at))
    other = released(a_door(tmp_path / "batches").answer(QUERY, batches))
    assert other.to_bytes() == usual.to_bytes()


def test_no_batch_at_all_is_an_empty_silo(tmp_path: Path) -> None:
    usual = released(a_door(tmp_path / "empty").answer(QUERY, giving(NOBODY)))
    other = released(a_door(tmp_path / "none").answer(QUERY, some_at_a_time()))
    assert other.to_bytes() == usual.to_bytes()


def test_user_who_is_not_finite_is_left_out_of_a_later_batch(tmp_path: Path) -> None:
    broken = {"sums": users([[np.nan, 1]]), "counts": users([1], width=1)}
    usual = released(a_door(tmp_path / "without").answer(QUERY, giving(PEOPLE)))
    other = a_door(tmp_path / "with").answer(QUERY, some_at_a_time(PEOPLE, broken))
    assert released(other).to_bytes() == usual.to_bytes()


@pytest.mark.parametrize(
    "second",
    [ModelError(), {"sums": PEOPLE["sums"]}, PEOPLE | {"sums": users([1, 2, 3], width=1)}],
    ids=["failing", "block missing", "too narrow"],
)
def test_second_batch_that_fails_or_does_not_fit_stays_charged_and_nothing_leaves(
    tmp_path: Path, second: Any
) -> None:
    def contribute(window: Window) -> Iterator[Mapping[str, Contributions]]:
        yield PEOPLE
        if isinstance(second, Exception):
            raise second
        yield second

    door = a_door(tmp_path)
    with pytest.raises((ModelError, ContributionError)):
        door.answer(QUERY, contribute)
    assert [entry.state for entry in door.ledger.entries()] == ["failed"]
    assert refused(door.answer(QUERY, forbidden())).reason == "already-charged"


# Users who cannot be used.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["sums", "counts"])
def test_user_who_is_not_finite_contributes_as_if_absent(
    tmp_path: Path, value: float, where: str
) -> None:
    broken = {"sums": users([[1, 1]]), "counts": users([1], width=1)}
    broken[where].rows[0, 0] = value
    together = {
        name: Contributions(
            np.concatenate([broken[name].cells, part.cells]),
            np.concatenate([broken[name].rows, part.rows]),
        )
        for name, part in PEOPLE.items()
    }
    usual = released(a_door(tmp_path / "without").answer(QUERY, giving(PEOPLE)))
    other = released(a_door(tmp_path / "with").answer(QUERY, giving(together)))
    assert other.to_bytes() == usual.to_bytes()


def test_silo_with_no_finite_user_answers_like_an_empty_one(tmp_path: Path) -> None:
    broken = {"sums": users([[np.nan, 0]]), "counts": users([1], width=1)}
    usual = released(a_door(tmp_path / "empty").answer(QUERY, giving(NOBODY)))
    other = released(a_door(tmp_path / "broken").answer(QUERY, giving(broken)))
    assert other.to_bytes() == usual.to_bytes()


# Failures.


def test_failing_contribution_stays_charged_and_raises(tmp_path: Path) -> None:
    def contribute(window: Window) -> Mapping[str, Contributions]:
        raise ModelError

    door = a_door(tmp_path)
    with pytest.raises(ModelError):
        door.answer(QUERY, contribute)
    (entry,) = door.ledger.entries()
    assert entry.state == "failed"
    assert door.ledger.spent_epsilon() > 0
    assert refused(door.answer(QUERY, forbidden())).reason == "already-charged"


@pytest.mark.parametrize(
    "contributions",
    [
        {"sums": PEOPLE["sums"]},
        PEOPLE | {"counts": users([1], width=1)},
        PEOPLE | {"sums": users([[1, 2]] * 3, [0, 1, 3])},
        PEOPLE | {"sums": users([1, 2, 3], width=1)},
    ],
    ids=["block missing", "fewer users", "cell beyond", "too narrow"],
)
def test_contributions_that_do_not_fit_stay_charged_and_raise(
    tmp_path: Path, contributions: Mapping[str, Contributions]
) -> None:
    door = a_door(tmp_path)
    with pytest.raises(ContributionError):
        door.answer(QUERY, giving(contributions))
    assert [entry.state for entry in door.ledger.entries()] == ["failed"]


@pytest.mark.parametrize(
    ("cells", "rows"),
    [
        (np.int64, np.float16),
        (np.int64, np.float64),
        (np.int64, np.longdouble),
        (np.int64, np.complex64),
        (np.int64, np.int64),
        (np.float32, np.float32),
        (np.bool_, np.float32),
    ],
)
def test_number_types_fare_alike_whether_or_not_there_are_users(
    tmp_path: Path, cells: type[Any], rows: type[Any]
) -> None:
    # A server chooses the types of its centres, and with them those of the rows.
    def outcome(n: int) -> str:
        try:
            part = Contributions(np.zeros(n, cells), np.ones((n, 2), rows))
            return type(
                a_door(tmp_path / str(n)).answer(a_query(), giving({"sums": part}))
            ).__name__
        except Exception as error:
            return type(error).__name__

    assert outcome(1) == outcome(3) == outcome(0)


def test_failure_after_the_noise_was_drawn_stays_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_bytes(_: Release) -> bytes:
        raise ModelError

    door = a_door(tmp_path)
    monkeypatch.setattr(Release, "to_bytes", to_bytes)
    with pytest.raises(ModelError):
        door.answer(QUERY, giving(PEOPLE))
    assert door.ledger.spent_epsilon() > 0


@pytest.mark.parametrize("trust_model", list(TrustModel))
def test_full_disk_at_commit_sends_nothing_and_stays_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust_model: TrustModel
) -> None:
    def commit(_: Ledger, entry: int, reply: bytes | None) -> SignedHead:
        raise LedgerError(f"database or disk is full (entry {entry}, {bool(reply)})")

    query = replace(QUERY, trust_model=trust_model)
    door = a_door(tmp_path, trust_models=set(TrustModel))
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "commit", commit)
        refusal = refused(door.answer(query, giving(PEOPLE)))
    assert refusal.reason == "ledger-unusable"
    assert "disk" not in refusal.sentence
    assert str(tmp_path) not in refusal.sentence
    assert [entry.state for entry in door.ledger.entries()] == ["reserved"]
    assert refused(door.answer(query, forbidden())).reason == "already-charged"


# Refusals.


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (replace(QUERY, trust_model=CENTRAL), "trust-model-not-allowed"),
        (replace(QUERY, kind="photos"), "question-not-allowed"),
        (replace(QUERY, sigma=0.1), "too-little-noise"),
        (a_query(a_block(clipping_norm=3.0), sigma=9.0), "clipping-norm-too-large"),
    ],
)
def test_policy_refusal_costs_nothing_and_touches_nobody(
    tmp_path: Path, query: SumQuery, reason: str
) -> None:
    door = a_door(tmp_path)
    refusal = refused(door.answer(query, forbidden()))
    assert refusal.reason == reason
    assert (refusal.region, refusal.run, refusal.round_number) == ("north", "run-1", 1)
    assert door.ledger.entries() == []
    assert [entry.reason for entry in door.ledger.refusals()] == [reason]


def test_seeded_noise_is_refused_where_the_policy_does_not_allow_it(tmp_path: Path) -> None:
    door = a_door(tmp_path, noise_kinds={NoiseKind.FLOAT})
    assert refused(door.answer(QUERY, forbidden())).reason == "noise-kind-not-allowed"


def test_over_budget_costs_nothing_and_touches_nobody(tmp_path: Path) -> None:
    door = a_door(tmp_path, epsilon=0.5)
    assert refused(door.answer(QUERY, forbidden())).reason == "budget-exhausted"
    assert door.ledger.entries() == []
    assert [entry.reason for entry in door.ledger.refusals()] == ["budget-exhausted"]


def test_without_a_ledger_nobody_is_touched(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    door.ledger.path.write_bytes(b"not a database" * 1000)
    refusal = refused(door.answer(QUERY, forbidden()))
    assert (refusal.reason, refusal.head) == ("ledger-unusable", None)
    assert str(tmp_path) not in refusal.sentence


@pytest.mark.parametrize(
    "change",
    [
        {"round_number": 2**63},
        {"round_number": -1},
        {"participants": 0},
        {"run": "r" * 1000},
        {"purpose": "a\nb"},
        {"kind": "\x00"},
    ],
)
def test_what_no_ledger_should_have_to_keep_is_no_query(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"round|participants|printable"):
        replace(QUERY, **change)


# Asking again.


@pytest.mark.parametrize("noise", list(NoiseKind))
def test_repeated_request_gets_identical_bytes_and_no_new_charge(
    tmp_path: Path, noise: NoiseKind
) -> None:
    door = a_door(tmp_path, noise=noise)
    first = released(door.answer(QUERY, giving(PEOPLE)))
    spent = door.ledger.spent_epsilon()
    again = released(a_door(tmp_path, noise=noise).answer(QUERY, forbidden()))
    assert again.to_bytes() == first.to_bytes()
    assert (again.head, again.signature) == (first.head, first.signature)
    assert door.ledger.spent_epsilon() == spent


def test_another_question_in_the_same_round_touches_nobody(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    door.answer(QUERY, giving(PEOPLE))
    refusal = refused(door.answer(replace(QUERY, nonce="other"), forbidden()))
    assert refusal.reason == "another-question-in-this-round"


@pytest.mark.parametrize("noise", [NoiseKind.DISCRETE, NoiseKind.FLOAT])
def test_two_doors_without_a_seed_draw_different_noise(tmp_path: Path, noise: NoiseKind) -> None:
    one, other = (
        released(a_door(tmp_path / name, noise=noise).answer(QUERY, giving(PEOPLE)))
        for name in ("one", "other")
    )
    assert not np.isin(one.sums["sums"], other.sums["sums"]).any()


# Trust model central.


def test_central_gives_the_clipped_sum_without_noise(tmp_path: Path) -> None:
    door = a_door(tmp_path, trust_models={CENTRAL})
    answer = door.answer(replace(QUERY, trust_model=CENTRAL), giving(PEOPLE))
    assert isinstance(answer, ClippedSum)
    for block in QUERY.blocks:
        exact = oracle_sum(block, PEOPLE[block.name])
        sums = answer.sums[block.name] * QUERY.step
        np.testing.assert_allclose(sums, exact, rtol=1e-5, atol=1e-5)
    assert (answer.sensitivity, answer.sigma) == (QUERY.sensitivity, QUERY.sigma)


def test_central_is_charged_and_marked_as_such(tmp_path: Path) -> None:
    door = a_door(tmp_path, trust_models={CENTRAL})
    door.answer(replace(QUERY, trust_model=CENTRAL), giving(PEOPLE))
    (entry,) = door.ledger.entries()
    assert (entry.state, entry.trust_model, entry.noise) == ("committed", "central", "server")
    assert door.ledger.spent_epsilon() > 0


def test_central_is_refused_unless_the_policy_opts_in(tmp_path: Path) -> None:
    refusal = refused(a_door(tmp_path).answer(replace(QUERY, trust_model=CENTRAL), forbidden()))
    assert refusal.reason == "trust-model-not-allowed"


def test_repeated_central_request_gets_the_sums_again_and_no_new_charge(tmp_path: Path) -> None:
    """What is charged is the server's release: it makes one for a request, by its own ledger."""
    door = a_door(tmp_path, trust_models={CENTRAL})
    query = replace(QUERY, trust_model=CENTRAL)
    first = door.answer(query, giving(PEOPLE))
    again = a_door(tmp_path, trust_models={CENTRAL}).answer(query, giving(PEOPLE))
    assert isinstance(first, ClippedSum)
    assert isinstance(again, ClippedSum)
    assert again.to_bytes() == first.to_bytes()
    assert (again.head, again.signature) == (first.head, first.signature)
    assert len(door.ledger.entries()) == 1


def test_repeated_central_request_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    door = a_door(tmp_path, trust_models={CENTRAL})
    query = replace(QUERY, trust_model=CENTRAL)
    door.answer(query, giving(PEOPLE))
    before = door.ledger.head()
    with pytest.raises(AssertionError, match="users were touched"):
        door.answer(query, forbidden())
    assert door.ledger.head() == before


def test_another_central_question_in_the_same_round_touches_nobody(tmp_path: Path) -> None:
    door = a_door(tmp_path, trust_models={CENTRAL})
    query = replace(QUERY, trust_model=CENTRAL)
    door.answer(query, giving(PEOPLE))
    other = replace(query, nonce="another")
    refusal = refused(door.answer(other, forbidden()))
    assert refusal.reason == "another-question-in-this-round"


def until(moment: datetime, seconds: float) -> int:
    return int(moment.timestamp() + seconds)


@pytest.mark.parametrize("late", [299, 301, 10**7])
def test_expired_request_is_refused_touches_nobody_and_costs_nothing(
    tmp_path: Path, late: int
) -> None:
    """By the region's own clock, which may be ahead of the server's by the policy's tolerance."""
    door = a_door(tmp_path)
    query = replace(QUERY, expires=until(NOW, -late))
    if late < 300:
        assert isinstance(door.answer(query, giving(PEOPLE)), Release)
        return
    refusal = refused(door.answer(query, forbidden()))
    assert refusal.reason == "expired"
    assert "north that is over" in refusal.sentence
    assert door.ledger.entries() == []
    assert [one.reason for one in door.ledger.refusals()] == ["expired"]


@pytest.mark.parametrize(
    ("tolerance", "skew", "is_answered"),
    [(0.0, -1, True), (0.0, 1, False), (3600.0, 3599, True), (3600.0, 3601, False)],
)
def test_policy_sets_by_how_much_clocks_may_differ(
    tmp_path: Path, tolerance: float, skew: int, is_answered: bool
) -> None:
    door = a_door(tmp_path, clock_tolerance_seconds=tolerance)
    query = replace(QUERY, expires=until(NOW, -skew))
    assert isinstance(door.answer(query, giving(PEOPLE)), Release) is is_answered


def test_request_signed_anew_until_later_is_the_same_request(tmp_path: Path) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)
    sent = replace(QUERY, expires=until(NOW, 3600))
    first = door.answer(sent, giving(PEOPLE))
    clock.pass_days(1)
    assert refused(door.answer(sent, forbidden())).reason == "expired"
    again = door.answer(replace(sent, expires=until(NOW, 3 * 86400)), forbidden())
    assert isinstance(first, Release)
    assert isinstance(again, Release)
    assert again.to_bytes() == first.to_bytes()
    assert len(door.ledger.entries()) == 1


@pytest.mark.parametrize("expires", [-1, 2**40, 1.5, True])
def test_time_that_is_none_is_no_query(expires: Any) -> None:
    with pytest.raises(ValueError, match="expires at"):
        replace(QUERY, expires=expires)


def test_exact_sums_are_not_kept_on_disk(tmp_path: Path) -> None:
    door = a_door(tmp_path, trust_models={CENTRAL})
    answer = door.answer(replace(QUERY, trust_model=CENTRAL), giving(PEOPLE))
    assert isinstance(answer, ClippedSum)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert answer.sums["sums"].tobytes() not in content
    assert answer.digest().encode() not in content  # by which a guess could be checked
    assert answer.signature.encode() not in content


def test_door_answers_by_its_ledgers_policy(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    assert Door(ledger, NoiseSource()).policy is ledger.policy


# Signatures.


@pytest.mark.parametrize("trust_model", list(TrustModel))
def test_every_answer_is_signed_together_with_the_ledgers_head(
    tmp_path: Path, trust_model: TrustModel
) -> None:
    door = a_door(tmp_path, trust_models=set(TrustModel))
    answer = door.answer(replace(QUERY, trust_model=trust_model), giving(PEOPLE))
    assert answer.is_genuine
    assert answer.head is not None
    account = door.ledger.account()
    assert (answer.head.sequence, answer.head.head) == (account.sequence, account.head)
    assert answer.head.public_key == door.ledger.public_key


def test_refusal_is_signed_as_well(tmp_path: Path) -> None:
    refusal = refused(a_door(tmp_path).answer(replace(QUERY, kind="photos"), forbidden()))
    assert refusal.is_genuine


@pytest.mark.parametrize(
    "change", [{"entry": 2}, {"region": "south"}, {"sigma": 3.0}, {"window": "2030"}]
)
def test_answer_that_was_changed_is_not_genuine(tmp_path: Path, change: dict[str, Any]) -> None:
    release = released(a_door(tmp_path).answer(QUERY, giving(PEOPLE)))
    assert not replace(release, **change).is_genuine


def test_answer_with_another_answers_head_is_not_genuine(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    one = released(door.answer(QUERY, giving(PEOPLE)))
    other = released(door.answer(replace(QUERY, round_number=2), giving(PEOPLE)))
    assert not replace(one, head=other.head).is_genuine
    assert not replace(one, head=other.head, signature=other.signature).is_genuine


def test_contribution_is_told_which_window_pays(tmp_path: Path) -> None:
    windows: list[Window] = []

    def contribute(window: Window) -> Mapping[str, Contributions]:
        windows.append(window)
        return PEOPLE

    release = released(a_door(tmp_path).answer(QUERY, contribute))
    assert [window.name for window in windows] == [release.window]


@pytest.mark.parametrize("noise", list(NoiseKind))
def test_last_bits_of_a_release_say_nothing_about_the_sum(tmp_path: Path, noise: NoiseKind) -> None:
    # Noise on a coarser grid than the lattice would show whether a row with an odd last bit is in.
    limits: dict[str, Any] = {"epsilon": 1e9, "lifetime_epsilon": 1e9}
    door = a_door(tmp_path, noise=noise, least_noise_multiplier=1e-3, **limits)
    query = a_query(a_block(cells=2000, width=1, clipping_norm=1.0), sigma=1e-3)
    nobody = {"sums": users([], width=1)}
    release = released(door.answer(query, giving(nobody)))
    steps = release.sums["sums"].astype(np.float64) / query.step
    small = steps[np.abs(steps) < 2**23]  # singles hold these to the last bit
    assert len(small) > 1900
    np.testing.assert_array_equal(small, np.rint(small))
    assert 0.4 < (small % 2 == 1).mean() < 0.6
