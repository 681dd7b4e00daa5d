from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from privacy.errors import PolicyError, RefusalError
from privacy.policy import Policy, read_policy
from privacy.query import NoiseKind, SumQuery, TrustModel
from tests.privacy.examples import a_block, a_policy, a_query

USABLE = """
region = "north"
window = "2017"
epsilon = 2.0
question-kinds = ["cell-sums"]
"""


def policy_file(folder: Path, content: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_usable_file_is_read_and_the_rest_has_careful_defaults(tmp_path: Path) -> None:
    policy = read_policy(policy_file(tmp_path, USABLE))
    assert (policy.region, policy.window, policy.epsilon) == ("north", "2017", 2.0)
    assert policy.delta <= 1e-6
    assert policy.trust_models == {TrustModel.LOCAL}
    assert policy.noise_kinds == {NoiseKind.FLOAT}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("epsilom = 2.0", ["'epsilom'", "unknown", "2.0"]),
        ("least_noise_multiplier = 2.0", ["'least_noise_multiplier'", "unknown"]),
        ("delta = 0.0", ["'delta'", "0.0", "greater than 0"]),
        ("delta = 0.5", ["'delta'", "0.5", "0.001"]),
        ("delta = nan", ["'delta'", "nan"]),
        ("least-noise-multiplier = 0", ["'least-noise-multiplier'", "0", "greater than 0"]),
        ("least-noise-multiplier = inf", ["'least-noise-multiplier'", "inf", "finite"]),
        ("largest-clipping-norm = -1.0", ["'largest-clipping-norm'", "-1.0", "greater than 0"]),
        ("most-releases-per-run = 0", ["'most-releases-per-run'", "0"]),
        ('trust-models = ["everybody"]', ["'trust-models", "everybody", "local"]),
        ('noise-kinds = ["laplace"]', ["'noise-kinds", "laplace", "float"]),
        ('delta = "small"', ["'delta'", "small", "number"]),
    ],
)
def test_unusable_line_is_an_error_that_names_key_and_value(
    tmp_path: Path, line: str, words: list[str]
) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(policy_file(tmp_path, USABLE + line))
    message = str(caught.value)
    assert str(tmp_path / "policy.toml") in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("key", ["region", "window", "epsilon", "question-kinds"])
def test_missing_key_is_an_error_that_names_it(tmp_path: Path, key: str) -> None:
    lines = [line for line in USABLE.splitlines() if not line.startswith(key)]
    with pytest.raises(PolicyError, match=f"'{key}' is missing"):
        read_policy(policy_file(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("epsilon", ["0", "-1.0", "inf", "nan"])
def test_impossible_epsilon_is_an_error_that_names_it(tmp_path: Path, epsilon: str) -> None:
    content = USABLE.replace("epsilon = 2.0", f"epsilon = {epsilon}")
    with pytest.raises(PolicyError, match=rf"'epsilon': found {epsilon}"):
        read_policy(policy_file(tmp_path, content))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"'epsilom'.*'delta'|'delta'.*'epsilom'"):
        read_policy(policy_file(tmp_path, USABLE + "epsilom = 1\ndelta = 5.0"))


def test_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"absent\.toml cannot be read"):
        read_policy(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "content",
    [b"region: north", b"region = ", b"\xff\xfe\x00\x81"],
    ids=["yaml", "half a line", "not text"],
)
def test_file_that_is_not_toml_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"policy\.toml"):
        read_policy(path)


def test_policy_cannot_be_changed_while_it_applies() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(a_policy(), "epsilon", 100.0)  # noqa: B010  (mypy would not let us assign)


def test_what_the_policy_allows_passes() -> None:
    a_policy().check(a_query(), NoiseKind.SEEDED)


def test_limits_themselves_are_allowed() -> None:
    policy = a_policy(least_noise_multiplier=2.0, largest_clipping_norm=1.0)
    policy.check(a_query(sigma=2.0), NoiseKind.FLOAT)


def test_noise_is_measured_against_the_sensitivity() -> None:
    a_policy().check(a_query(a_block(clipping_norm=0.01), sigma=0.02), NoiseKind.FLOAT)


CENTRAL = TrustModel.CENTRAL


@pytest.mark.parametrize(
    ("changes", "query", "noise", "reason", "words"),
    [
        ({}, a_query(trust_model=CENTRAL), "float", "trust-model-not-allowed", "central"),
        (
            {"trust_models": {CENTRAL}},
            a_query(),
            "float",
            "trust-model-not-allowed",
            "trust model central",
        ),
        ({"noise_kinds": {"float"}}, a_query(), "seeded", "noise-kind-not-allowed", "seeded"),
        ({}, a_query(kind="photos"), "float", "question-not-allowed", "'photos'"),
        ({}, a_query(sigma=0.99), "float", "too-little-noise", "0.99"),
        ({}, a_query(a_block(clipping_norm=2.0), sigma=1.5), "float", "too-little-noise", "0.75"),
        ({"least_noise_multiplier": 5.0}, a_query(), "float", "too-little-noise", "least 5"),
        (
            {},
            a_query(a_block(), a_block("counts", clipping_norm=2.5), sigma=9.0),
            "float",
            "clipping-norm-too-large",
            "2.5",
        ),
    ],
)
def test_every_refusal_has_its_reason_and_names_what_was_asked(
    changes: dict[str, Any], query: SumQuery, noise: str, reason: str, words: str
) -> None:
    with pytest.raises(RefusalError) as caught:
        a_policy(**changes).check(query, NoiseKind(noise))
    assert caught.value.reason == reason
    assert words in caught.value.sentence
    assert "north" in caught.value.sentence


def test_noise_kind_is_the_servers_affair_under_central() -> None:
    policy = a_policy(noise_kinds={"float"}, trust_models={CENTRAL})
    policy.check(a_query(trust_model=CENTRAL), NoiseKind.SEEDED)


def test_promised_noise_is_checked_under_central_as_well() -> None:
    policy = a_policy(trust_models={CENTRAL})
    with pytest.raises(RefusalError, match="noise multiplier"):
        policy.check(a_query(trust_model=CENTRAL, sigma=0.5), NoiseKind.FLOAT)


@pytest.mark.parametrize("norm", [1e160, 1e200, 1e308, 1e-165, 1e-200, 5e-324])
def test_extreme_clipping_norm_is_turned_down_in_order(norm: float) -> None:
    policy = a_policy()
    try:
        policy.check(a_query(a_block(clipping_norm=norm), sigma=1e-3), NoiseKind.FLOAT)
    except (ValueError, RefusalError):
        return  # the block or the policy says no, in words
    assert norm <= policy.largest_clipping_norm


def test_keys_in_python_may_be_spelt_as_fields() -> None:
    fields: dict[str, Any] = {"question_kinds": {"cell-sums"}, "least_noise_multiplier": 3.0}
    policy = Policy(region="north", window="2017", epsilon=1.0, **fields)
    assert policy.least_noise_multiplier == 3.0
