"""The gate in front of Flower's node: asked first, asked again, and missed by nothing."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import flwr.supernode.fleet_http_connection as network
import flwr.supernode.start_client_internal as node
import pytest
from flwr.app import Message, RecordDict
from flwr.supercore import heartbeat
from flwr.supercore.constant import TaskType
from flwr.supercore.corestate import in_memory_corestate
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import ObjectUnavailableError
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run, RunNotRunningException
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.nodestate import NodeStateFactory

from deployment.agent import flower_internals
from deployment.agent.admission import Admission
from deployment.agent.approvals import content_hash
from deployment.agent.errors import FlowerDriftError, LostAnswerError, ResponseTooLargeError
from deployment.agent.flower_internals import LEANT_ON, refuse_drift
from deployment.agent.gate import BundleGate
from deployment.agent.node_pinning import ForgetfulState, gated_get_fab, pin_node
from deployment.agent.pausing import PATIENCE, SHORTEST, NodePauses, pause_after
from deployment.agent.refusals import read_refusals
from tests.deployment.agent.examples import a_bundle, approvals_file

GOOD, EVIL = a_bundle(code="good"), a_bundle(code="evil")


@pytest.fixture
def gate(tmp_path: Path) -> BundleGate:
    return BundleGate(
        approvals=approvals_file(tmp_path, GOOD),
        refusals=tmp_path / "refusals.jsonl",
        where="node",
    )


def fetched(gate: BundleGate, content: bytes, claimed: bytes, kind: str = "") -> Fab:
    """Return what Flower gets of a server that sends ``content`` as ``claimed``."""
    told = content_hash(claimed)
    get = gated_get_fab(
        lambda fab_hash, run_id: Fab(fab_hash, content, {"valid_license": "theirs"}),
        gate,
        {1: kind},
    )
    return get(told, 1)


def test_approved_bundle_passes_with_our_word_in_place_of_the_servers(gate: BundleGate) -> None:
    fab = fetched(gate, GOOD, GOOD)
    assert (fab.content, fab.verifications) == (GOOD, {"valid_license": "operator"})


@pytest.mark.parametrize(("content", "claimed"), [(EVIL, EVIL), (EVIL, GOOD), (GOOD, EVIL)])
def test_refused_bundle_goes_no_further(gate: BundleGate, content: bytes, claimed: bytes) -> None:
    fab = fetched(gate, content, claimed)
    assert (fab.content, fab.verifications) == (b"", {})
    (refused,) = read_refusals(gate.refusals)
    assert (refused.claimed, refused.found) == (content_hash(claimed), content_hash(content))


def test_a_bundle_that_is_too_large_to_be_taken_is_refused_and_told(gate: BundleGate) -> None:
    def get_fab(fab_hash: str, run_id: int) -> Fab:
        raise ResponseTooLargeError("more than it can honestly be")

    fab = gated_get_fab(get_fab, gate, {})(content_hash(GOOD), 1)
    assert (fab.content, fab.verifications) == (b"", {})
    (refused,) = read_refusals(gate.refusals)
    assert (refused.reason, refused.found, refused.size) == ("too-large", "", 0)


def test_approved_bundle_as_another_kind_of_task_is_refused(gate: BundleGate) -> None:
    """No executor takes such a task: the node would wait for it forever."""
    assert fetched(gate, GOOD, GOOD, TaskType.AGENT_APP).verifications == {}
    (refused,) = read_refusals(gate.refusals)
    assert refused.reason == "no-client-app"


def test_run_is_forgotten_as_soon_as_its_bundle_is_withdrawn(
    gate: BundleGate, tmp_path: Path
) -> None:
    state = NodeStateFactory(objectstore_factory=ObjectStoreFactory()).state()
    run = Run.create_empty(1)
    run.fab_hash = content_hash(GOOD)
    state.store_run(run)
    forgetful = ForgetfulState(state, gate)
    assert forgetful.get_run(1) is None  # its bundle has not come yet
    state.store_fab(Fab(run.fab_hash, GOOD, {}))
    assert forgetful.get_run(1) is run
    assert forgetful.get_run(2) is None
    approvals_file(tmp_path)
    assert forgetful.get_run(1) is None
    assert state.get_run(1) is run


def restore_flower_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all that pinning replaces in Flower as it was, when the test is over."""
    command = import_module("flwr.supernode.cli.flower_supernode")  # the package hides the module
    interval = "HEARTBEAT_DEFAULT_INTERVAL"
    for place, names in {
        node: (
            "_init_connection _pull_and_store_message _push_messages _verify_fab pull_objects time"
        ),
        command: "start_client_internal",
        in_memory_corestate: interval,
        network: f"FleetHttpClient NodeAuthHttpInterceptor {interval}",
        heartbeat: interval,
    }.items():
        for name in names.split():
            monkeypatch.setattr(place, name, vars(place)[name])


class Fetching:
    """What Flower's node fetches a message with."""

    def __init__(self, gate: BundleGate, monkeypatch: pytest.MonkeyPatch) -> None:
        restore_flower_afterwards(monkeypatch)
        for name in ("_run_id", "_node_id", "_task_id"):
            monkeypatch.setattr(TaskIdentity, name, 1)
        pin_node(gate, NodePauses(), Admission(Path("nowhere")))
        factory = ObjectStoreFactory()
        self.objects = factory.store()
        self.state = NodeStateFactory(objectstore_factory=factory).state()
        run = Run.create_empty(1)
        run.fab_hash = content_hash(GOOD)
        self.state.store_run(run)
        self.state.store_fab(Fab(run.fab_hash, GOOD, {}))

    def fetch(self, *, run_ends: bool = False, comes_late: bool = False) -> int | None:
        with no_object_id_recompute():
            message = Message(RecordDict(), dst_node_id=1, message_type="train")
            message.metadata.__dict__["_message_id"] = message.object_id
            tree = get_object_tree(message)
            parts = {name: part.deflate() for name, part in get_all_nested_objects(message).items()}

        asked: set[str] = set()

        def pull(run: int, part: str) -> bytes:
            if run_ends:
                raise RunNotRunningException
            if comes_late and part not in asked:
                asked.add(part)
                raise ObjectUnavailableError(part)
            return parts[part]

        return node._pull_and_store_message(
            state=self.state,
            object_store=self.objects,
            node_config={},
            receive=lambda: (message, tree),
            get_run=lambda run: pytest.fail("it is known"),
            get_fab=lambda fab, run: pytest.fail("it is known"),
            pull_object=pull,
            confirm_message_received=lambda run, message: None,
            trusted_entities={"operator": "decides"},
        )

    def unfinished(self) -> int:
        return len(self.state.get_tasks(statuses=("pending", "starting", "running")))


def test_a_message_whose_run_ends_while_it_is_fetched_leaves_no_task_behind(
    gate: BundleGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor would wait for the rest of it, and answer nothing else."""
    fetching = Fetching(gate, monkeypatch)
    assert fetching.fetch(run_ends=True) is None
    assert fetching.unfinished() == 0
    assert list(fetching.state.get_messages_legacy()) == []


def test_parts_of_a_message_that_are_not_there_yet_are_asked_for_again_soon(
    gate: BundleGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching, started = Fetching(gate, monkeypatch), time.monotonic()
    fetching.fetch(comes_late=True)
    assert time.monotonic() - started < 0.7  # Flower alone: a second, give or take a fifth
    assert fetching.unfinished() == 1


def test_a_message_that_comes_whole_has_its_task(
    gate: BundleGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = Fetching(gate, monkeypatch)
    assert fetching.fetch(run_ends=False) == 1
    assert fetching.unfinished() == 1
    assert len(fetching.state.get_messages_legacy()) == 1


def test_flower_is_as_it_was_read() -> None:
    refuse_drift()


@pytest.mark.parametrize("leant_on", LEANT_ON, ids=lambda one: one.place)
def test_any_function_that_differs_keeps_the_agent_from_starting(
    leant_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, name = leant_on.place.partition(":")
    owner: Any = __import__("importlib").import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    monkeypatch.setattr(owner, last, lambda *arguments: None)
    with pytest.raises(FlowerDriftError, match="Nothing was started") as caught:
        refuse_drift()
    assert leant_on.place in str(caught.value)
    assert "Flower 1.41 is wanted" in str(caught.value)


def test_steps_in_another_order_keep_the_agent_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same words, but the bundle would be parsed before anybody asks."""
    import inspect

    source = inspect.getsource(node._pull_and_store_message)
    moved = source.replace("get_fused_config_from_fab(fab.content, run_info)", "None")
    moved = moved.replace(
        "# Verify the received FAB", "get_fused_config_from_fab(fab.content, run_info)"
    )
    real = inspect.getsource

    def told(function: Any) -> str:
        return moved if function is node._pull_and_store_message else real(function)

    monkeypatch.setattr(inspect, "getsource", told)
    with pytest.raises(FlowerDriftError, match="_pull_and_store_message"):
        refuse_drift()


def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_internals, "version", lambda name: "1.42.0")
    with pytest.raises(
        FlowerDriftError, match=r"Flower 1\.42\.0 was found, Flower 1\.41 is wanted"
    ):
        refuse_drift()


def test_drift_leaves_flower_as_it_is(gate: BundleGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_internals, "version", lambda name: "2.0")
    before = dict(vars(node))
    with pytest.raises(FlowerDriftError):
        pin_node(gate, NodePauses(), Admission(Path("nowhere")))
    assert vars(node) == before


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def sleep_often(pauses: NodePauses) -> None:
    for _ in range(10_000):
        pauses.sleep(0.5)


def test_pauses_grow_with_the_quiet_and_stay_in_bounds() -> None:
    assert pause_after(0, shortest=0.1, longest=3) == 0.1
    assert pause_after(10, shortest=0.1, longest=3) == 1.0
    assert pause_after(1e6, shortest=0.1, longest=3) == 3


def test_node_asks_soon_after_a_message_and_seldom_after_a_long_quiet() -> None:
    clock = Clock()
    pauses = NodePauses(clock, clock.sleep)
    pauses.sleep(3)
    clock.now += 3600
    pauses.sleep(3)
    pauses.heard()
    pauses.sleep(3)
    assert clock.slept == [SHORTEST, 3, SHORTEST]


def test_answer_that_nobody_works_on_is_given_up() -> None:
    clock, works = Clock(), [True]
    pauses = NodePauses(clock, clock.sleep)
    pauses.await_answer(lambda: works[0])
    sleep_often(pauses)
    assert clock.now > 100
    works[0] = False
    before = clock.now
    with pytest.raises(LostAnswerError, match="the server will ask again"):
        sleep_often(pauses)
    assert PATIENCE < clock.now - before < 2 * PATIENCE
    pauses.answered()
    pauses.sleep(3)


def test_executor_that_comes_back_in_time_is_waited_for() -> None:
    clock, works = Clock(), [False]
    pauses = NodePauses(clock, clock.sleep)
    pauses.await_answer(lambda: works[0])
    for number in range(1000):
        works[0] = number % 50 == 0
        pauses.sleep(0.5)
    assert clock.now > 5 * PATIENCE


def test_killed_node_is_let_in_again_while_the_server_still_waits_for_it(
    gate: BundleGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flower lets no second one in for twice the interval that the first has promised."""
    from flwr.common.constant import (
        HEARTBEAT_CALL_TIMEOUT,
        HEARTBEAT_MIN_INTERVAL,
        HEARTBEAT_PATIENCE,
    )

    from server.patient_grid import PATIENCE as SERVER_PATIENCE

    restore_flower_afterwards(monkeypatch)
    pin_node(gate, NodePauses(), Admission(Path("nowhere")))
    promised = vars(network)["HEARTBEAT_DEFAULT_INTERVAL"]
    assert promised == vars(heartbeat)["HEARTBEAT_DEFAULT_INTERVAL"] >= HEARTBEAT_MIN_INTERVAL
    assert promised > HEARTBEAT_CALL_TIMEOUT
    assert HEARTBEAT_PATIENCE * promised < SERVER_PATIENCE / 2
