from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.errors import PolicyError, RefusalError
from privacy.policy import Policy, read_policy, write_default_policy
from privacy.query import NoiseKind, SumQuery, TrustModel
from privacy.signing import SigningKey
from tests.privacy.examples import NOW, a_block, a_policy, a_query

USABLE = {
    "region": 'region = "north"\n',
    "budget": """
[budget]
epsilon = 2.0
lifetime-epsilon = 5.0
""",
    "window": """
[window]
start = 2026-01-01T00:00:00Z
days = 90
""",
    "answers": """
[answers]
questions = ["cell-sums"]
""",
    "trusted": """
[trusted]
""",
}


def with_line(table: str, line: str) -> str:
    """Return a usable file with one more line in a table."""
    return "\n".join(text + (line + "\n" if name == table else "") for name, text in USABLE.items())


def policy_file(folder: Path, content: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_usable_file_is_read_and_the_rest_has_careful_defaults(tmp_path: Path) -> None:
    policy = read_policy(policy_file(tmp_path, with_line("", "")))
    assert (policy.region, policy.window.days, policy.budget.epsilon) == ("north", 90, 2.0)
    assert max(policy.budget.delta, policy.budget.lifetime_delta) <= 1e-6
    assert policy.answers.trust_models == {TrustModel.LOCAL}
    assert policy.answers.noise_kinds == {NoiseKind.DISCRETE}


@pytest.mark.parametrize(
    ("table", "line", "words"),
    [
        ("region", "epsilon = 2.0", ["'epsilon'", "unknown", "2.0"]),
        ("budget", "epsilom = 2.0", ["'budget.epsilom'", "unknown", "2.0"]),
        ("answers", "least_noise_multiplier = 2.0", ["'answers.least_noise_multiplier'"]),
        ("budget", "delta = 0.0", ["'budget.delta'", "0.0", "greater than 0"]),
        ("budget", "delta = 0.5", ["'budget.delta'", "0.5", "0.001"]),
        ("budget", "delta = nan", ["'budget.delta'", "nan"]),
        ("budget", "lifetime-delta = 0.5", ["'budget.lifetime-delta'", "0.5"]),
        ("budget", 'adjacency = "replace-two"', ["'budget.adjacency'", "replace-two"]),
        ("window", 'renewal = "never"', ["'window.renewal'", "never", "by-operator"]),
        ("window", 'events = "some"', ["'window.events'", "some"]),
        ("answers", "least-noise-multiplier = 0", ["'answers.least-noise-multiplier'", "0"]),
        ("answers", "least-noise-multiplier = inf", ["'answers.least-noise-multiplier'", "inf"]),
        ("answers", "largest-clipping-norm = -1.0", ["-1.0", "greater than 0"]),
        ("answers", "most-releases-per-run = 0", ["'answers.most-releases-per-run'", "0"]),
        ("answers", "fewest-participants = 0", ["'answers.fewest-participants'", "0"]),
        ("answers", 'trust-models = ["everybody"]', ["answers.trust-models", "everybody"]),
        ("answers", 'noise-kinds = ["laplace"]', ["answers.noise-kinds", "laplace", "float"]),
        ("trusted", 'server-keys = ["abc"]', ["trusted.server-keys", "abc"]),
        ("budget", 'delta = "small"', ["'budget.delta'", "small", "number"]),
    ],
)
def test_unusable_line_is_an_error_that_names_key_and_value(
    tmp_path: Path, table: str, line: str, words: list[str]
) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(policy_file(tmp_path, with_line(table, line)))
    message = str(caught.value)
    assert str(tmp_path / "policy.toml") in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "key",
    ["epsilon", "lifetime-epsilon", "start", "days", "questions"],
)
def test_missing_key_is_an_error_that_names_it(tmp_path: Path, key: str) -> None:
    lines = [line for line in with_line("", "").splitlines() if not line.startswith(f"{key} ")]
    with pytest.raises(PolicyError, match=rf"\.{key}' is missing"):
        read_policy(policy_file(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("name", ["region", "budget", "window", "answers"])
def test_missing_table_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    content = "\n".join(text for table, text in USABLE.items() if table != name)
    with pytest.raises(PolicyError, match=f"'{name}' is missing"):
        read_policy(policy_file(tmp_path, content))


@pytest.mark.parametrize("epsilon", ["0", "-1.0", "inf", "nan"])
def test_impossible_epsilon_is_an_error_that_names_it(tmp_path: Path, epsilon: str) -> None:
    content = with_line("", "").replace("\nepsilon = 2.0", f"\nepsilon = {epsilon}")
    with pytest.raises(PolicyError, match=rf"'budget\.epsilon': found {epsilon}"):
        read_policy(policy_file(tmp_path, content))


def test_lifetime_that_allows_less_than_a_window_is_an_error(tmp_path: Path) -> None:
    content = with_line("", "").replace("lifetime-epsilon = 5.0", "lifetime-epsilon = 1.0")
    with pytest.raises(PolicyError, match="at least epsilon"):
        read_policy(policy_file(tmp_path, content))


def test_window_without_a_time_zone_is_an_error(tmp_path: Path) -> None:
    content = with_line("", "").replace("00:00:00Z", "00:00:00")
    with pytest.raises(PolicyError, match=r"'window\.start'"):
        read_policy(policy_file(tmp_path, content))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    content = with_line("budget", "epsilom = 1\ndelta = 5.0")
    with pytest.raises(PolicyError, match=r"epsilom'.*delta'|delta'.*epsilom'"):
        read_policy(policy_file(tmp_path, content))


# The commented default.


def test_commented_default_is_usable_and_names_every_key(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_default_policy(path, 'no "quiet" town')
    policy = read_policy(path)
    assert policy.region == 'no "quiet" town'
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    everything = policy.model_dump(by_alias=True, mode="json")
    assert set(written) == set(everything)
    for table in ("budget", "window", "answers", "trusted"):
        assert set(written[table]) == set(everything[table])


def test_commented_default_says_what_is_taken_for_a_missing_key(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_default_policy(path, "north")
    written = read_policy(path)
    least = read_policy(policy_file(tmp_path, with_line("", "")))
    needed = {"epsilon", "lifetime_epsilon", "start", "days", "questions"}
    for table in ("budget", "window", "answers", "trusted"):
        for name in set(type(getattr(written, table)).model_fields) - needed:
            assert getattr(getattr(written, table), name) == getattr(getattr(least, table), name)


@pytest.mark.parametrize("region", ["", "a{b", "n" * 300])
def test_policy_that_could_not_be_read_is_not_written(tmp_path: Path, region: str) -> None:
    with pytest.raises(PolicyError, match="No policy was written"):
        write_default_policy(tmp_path / "policy.toml", region)
    assert not (tmp_path / "policy.toml").exists()


def test_policy_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = policy_file(tmp_path, "mine")
    with pytest.raises(PolicyError, match="exists already"):
        write_default_policy(path, "north")
    assert path.read_text(encoding="utf-8") == "mine"


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
        setattr(a_policy().budget, "epsilon", 100.0)  # noqa: B010  (mypy would not let us assign)


def test_rules_have_one_digest_and_other_rules_another() -> None:
    kinds = {"questions": {f"kind-{i}" for i in range(20)}}
    same = {"questions": {f"kind-{i}" for i in reversed(range(20))}}
    assert a_policy(**kinds).digest() == a_policy(**same).digest()
    assert a_policy(**kinds).digest() != a_policy().digest()


def test_digest_does_not_depend_on_the_process(tmp_path: Path) -> None:
    path = policy_file(tmp_path, with_line("answers", 'noise-kinds = ["float", "discrete"]'))
    program = "import sys; from pathlib import Path; from privacy.policy import read_policy; "
    program += "print(read_policy(Path(sys.argv[1])).digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


# What passes, and what does not.

KEY = SigningKey(Ed25519PrivateKey.generate())
STRANGER = SigningKey(Ed25519PrivateKey.generate())


def signed(query: SumQuery, key: SigningKey) -> SumQuery:
    named = replace(query, server_key=key.public)
    return replace(named, signature=key.sign(named.signed_message()))


def passes(policy: Policy, query: SumQuery, noise: NoiseKind = NoiseKind.DISCRETE) -> None:
    policy.check(query, noise=noise, code="this code")


def refusal_of(
    policy: Policy, query: SumQuery, noise: NoiseKind = NoiseKind.DISCRETE
) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        passes(policy, query, noise)
    return caught.value


def test_what_the_policy_allows_passes() -> None:
    passes(a_policy(), a_query(), NoiseKind.SEEDED)


def test_limits_themselves_are_allowed() -> None:
    policy = a_policy(least_noise_multiplier=2.0, largest_clipping_norm=1.0, fewest_participants=3)
    passes(policy, a_query(sigma=2.0, participants=3))


def test_noise_is_measured_against_the_sensitivity() -> None:
    passes(a_policy(), a_query(a_block(clipping_norm=0.01), sigma=0.02))


CENTRAL = TrustModel.CENTRAL
TWO_BLOCKS = a_query(a_block(), a_block("counts", clipping_norm=2.5), sigma=9.0)


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
        ({"noise_kinds": {"discrete"}}, a_query(), "float", "noise-kind-not-allowed", "float"),
        ({}, a_query(kind="photos"), "float", "question-not-allowed", "'photos'"),
        ({}, a_query(sigma=0.99), "float", "too-little-noise", "0.99"),
        ({}, a_query(a_block(clipping_norm=2.0), sigma=1.5), "float", "too-little-noise", "0.75"),
        ({"least_noise_multiplier": 5.0}, a_query(), "float", "too-little-noise", "least 5"),
        ({}, TWO_BLOCKS, "float", "clipping-norm-too-large", "2.5"),
        ({"fewest_participants": 5}, a_query(participants=4), "float", "too-few-participants", "4"),
        (
            {"encoders": {"approved"}},
            a_query(encoder="other"),
            "float",
            "encoder-not-allowed",
            "encoder",
        ),
        ({"code_hashes": {"approved"}}, a_query(), "float", "code-not-allowed", "approved"),
        ({"server_keys": {KEY.public}}, a_query(), "float", "server-not-trusted", "not signed"),
        (
            {"server_keys": {KEY.public}},
            signed(a_query(), STRANGER),
            "float",
            "server-not-trusted",
            "another",
        ),
    ],
)
def test_every_refusal_has_its_reason_and_names_what_was_asked(
    changes: dict[str, Any], query: SumQuery, noise: str, reason: str, words: str
) -> None:
    refusal = refusal_of(a_policy(**changes), query, NoiseKind(noise))
    assert refusal.reason == reason
    assert words in refusal.sentence
    assert "north" in refusal.sentence


def test_pinned_servers_own_signature_passes() -> None:
    policy = a_policy(server_keys={KEY.public}, code_hashes={"this code"}, encoders={"known"})
    passes(policy, signed(a_query(encoder="known"), KEY))


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"sigma": 4.0},
        {"participants": 9},
        {"round_number": 2},
        {"run": "run-2"},
        {"nonce": "other"},
        {"purpose": "lloyd-2"},
        {"encoder": "other"},
        {"blocks": (a_block(cells=4),)},
        {"signature": ""},
        {"signature": "00" * 64},
        {"signature": "no signature"},
    ],
)
def test_request_changed_after_signing_is_refused(change: dict[str, Any], pinned: bool) -> None:
    policy = a_policy(server_keys={KEY.public} if pinned else set())
    changed = replace(signed(a_query(), KEY), **change)
    assert refusal_of(policy, changed).reason == "signature-wrong"


def test_strangers_signature_under_a_pinned_name_is_refused() -> None:
    query = replace(signed(a_query(), STRANGER), server_key=KEY.public)
    policy = a_policy(server_keys={KEY.public})
    assert refusal_of(policy, query).reason == "signature-wrong"


def test_noise_kind_is_the_servers_affair_under_central() -> None:
    policy = a_policy(noise_kinds={"float"}, trust_models={CENTRAL})
    passes(policy, a_query(trust_model=CENTRAL), NoiseKind.SEEDED)


def test_a_known_servers_request_says_until_when_it_is_good() -> None:
    policy = a_policy(server_keys={KEY.public})
    for_ever = signed(a_query(), KEY)
    with pytest.raises(RefusalError, match="until when they are good") as refused:
        policy.check_time(for_ever, NOW)
    assert refused.value.reason == "no-expiry"
    policy.check_time(replace(for_ever, expires=int(NOW.timestamp()) + 60), NOW)
    a_policy().check_time(for_ever, NOW)  # where any server may ask, an expiry means nothing


def test_promised_noise_is_checked_under_central_as_well() -> None:
    policy = a_policy(trust_models={CENTRAL})
    query = a_query(trust_model=CENTRAL, sigma=0.5)
    assert refusal_of(policy, query).reason == "too-little-noise"


@pytest.mark.parametrize("norm", [1e160, 1e200, 1e308, 1e-165, 1e-200, 5e-324])
def test_extreme_clipping_norm_is_turned_down_in_order(norm: float) -> None:
    with pytest.raises(ValueError, match="clipping norm"):
        a_block(clipping_norm=norm)
