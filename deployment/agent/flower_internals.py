"""What the pinning leans on inside Flower, and a check that it is still so.

The gate holds only as long as Flower asks it before anything of a bundle is parsed. So the
signatures and the order of the steps are compared with those that were read, and the agent
refuses to start when they differ: better no answers than code that nobody approved.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

from deployment.agent.errors import FlowerDriftError

WANTED, NEXT = "1.41", "1.42"
NODE = "flwr.supernode.start_client_internal"
COMMAND = "flwr.supernode.cli.flower_supernode"
CONNECTION = "flwr.supernode.fleet_http_connection"
CLIENT = "flwr.supercore.protobuf.client"
FLEET_CLIENT = "flwr.supernode.fleet_http_client"
HEARTBEAT = "flwr.supercore.heartbeat"
STATE = "flwr.supercore.corestate.in_memory_corestate"
NODE_STATE = "flwr.supernode.nodestate.in_memory_nodestate"
AUTHENTICATION = "flwr.supernode.node_auth_http_interceptor"
TASKS = "flwr.supernode.runtime.run_clientapp"
FETCHING = "flwr.supercore.inflatable.inflatable_utils"
RUNTIME = "flwr.supernode.servicer.runtime.runtime_handlers"


@dataclass(frozen=True)
class LeantOn:
    """A function of Flower's, and what has to be true of it.

    Attributes
    ----------
    place : str
        ``module:name``.
    parameters : str
        All of its parameters, in order, with spaces between.
    steps : sequence of str
        Fragments of its source that must follow each other in this order.
    counted : mapping of str to int
        How often a fragment must be there.
    """

    place: str
    parameters: str
    steps: Sequence[str] = ()
    counted: Mapping[str, int] | None = None


LEANT_ON = (
    LeantOn(
        f"{NODE}:_pull_and_store_message",
        (
            "state object_store node_config receive get_run get_fab pull_object "
            "confirm_message_received trusted_entities"
        ),
        (
            "(recv := receive()) is None",
            "(run_info := state.get_run(run_id)) is None",
            "run_info = get_run(run_id)",
            "fab = get_fab(run_info.fab_hash, run_id)",
            "if trusted_entities:",
            'if not fab.verifications.get("valid_license", "")',
            "_insert_message(reply, state, object_store)",
            "return run_id",
            "_verify_fab(fab, trusted_entities)",
            "if not fab_verified:",
            "_insert_message(reply, state, object_store)",
            "return run_id",
            "get_fused_config_from_fab(fab.content, run_info)",
            "state.store_run(run_info)",
            "state.store_fab(fab)",
            "state.create_task(",
            "state.store_message(message)",
            "pull_objects(",
            "except RunNotRunningException:",
        ),
        {"get_fab(": 1, "fab.content": 1, "_verify_fab(": 1},
    ),
    LeantOn(
        f"{NODE}:_push_messages",
        "state object_store send push_object",
        (
            "while not (reply_messages := state.get_messages_legacy(is_reply=True)):",
            "time.sleep(0.5)",
            "for message in reply_messages:",
            "time.sleep(0.5)",
        ),
        {"time.sleep(": 2},
    ),
    LeantOn(
        f"{NODE}:start_client_internal",
        (
            "state_factory server_address node_config root_certificates insecure "
            "authentication_keys max_retries max_wait_time isolation runtime_api_address "
            "runtime_certificates runtime_root_certificates_path health_server_address "
            "trusted_entities superexec_auth_secret runtime_dependency_install"
        ),
        (
            "with _init_connection(",
            "node_id,\n            receive,\n            send,\n            get_run,\n"
            "            get_fab,\n            pull_object,\n            push_object,\n"
            "            confirm_message_received,",
            "_pull_and_store_message(\n                state=state,",
            "trusted_entities=trusted_entities,",
            "time.sleep(3)",
            "_push_messages(\n                state=state,",
        ),
        {"time.sleep(": 1, "_init_connection(": 1, "get_fab": 3},
    ),
    LeantOn(
        f"{NODE}:_init_connection",
        ("server_address insecure root_certificates authentication_keys max_retries max_wait_time"),
        ("with http_request_response(", "yield conn"),
    ),
    LeantOn(f"{NODE}:_verify_fab", "fab trusted_entities"),
    LeantOn(
        f"{CONNECTION}:http_request_response",
        ("server_address insecure root_certificates authentication_keys max_retries max_wait_time"),
        (
            "with FleetHttpClient.from_server_address(",
            "NodeAuthHttpInterceptor(private_key, public_key)",
            "heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL",
            "HeartbeatSender(send_node_heartbeat)",
            "return run_from_proto(response.run)",
            "client.GetFab,",
            "return fab_from_proto(response.fab)",
            "heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL",
            "yield (",
        ),
        {"HEARTBEAT_DEFAULT_INTERVAL": 2},
    ),
    LeantOn(
        f"{HEARTBEAT}:HeartbeatSender._run",
        "self",
        ("HEARTBEAT_DEFAULT_INTERVAL - HEARTBEAT_CALL_TIMEOUT",),
    ),
    LeantOn(
        f"{AUTHENTICATION}:NodeAuthHttpInterceptor.intercept",
        "self context call_next",
        ("return call_next(context)",),
    ),
    LeantOn(
        f"{FLEET_CLIENT}:FleetHttpClient.ActivateNode",
        "self request",
        ('rpc_method="/flwr.proto.Fleet/ActivateNode"',),
    ),
    LeantOn(
        f"{CLIENT}:ProtobufClient.__init__",
        "self base_url interceptors verify timeout retry_invoker",
        ("self._client = httpx.Client(",),
        {"httpx.Client(": 1},
    ),
    LeantOn(
        f"{CLIENT}:ProtobufClient._send",
        "self context stream",
        ("if stream:", "return self._client.send(current_context.request)"),
    ),
    LeantOn(
        f"{FLEET_CLIENT}:FleetHttpClient.GetFab",
        "self request",
        ('path="/v1/fleet/get-fab"',),
    ),
    LeantOn(
        f"{COMMAND}:flower_supernode",
        "",
        (
            "_parse_supernode_lifespan_config()",
            "_start_supernode_http_api(config, state_factory)",
            "start_client_internal(",
            "trusted_entities=config.trusted_entities,",
        ),
        {"start_client_internal(": 1},
    ),
    LeantOn(
        f"{COMMAND}:_parse_supernode_lifespan_config",
        "",
        ("load_superexec_auth_secret(", "superexec_auth_secret=superexec_auth_secret,"),
    ),
    LeantOn(
        f"{STATE}:InMemoryCoreState.claim_task",
        "self task_id",
        ("timedelta(seconds=HEARTBEAT_DEFAULT_INTERVAL)",),
    ),
    LeantOn(
        f"{STATE}:InMemoryCoreState.acknowledge_task_heartbeat",
        "self task_id",
        ("timedelta(seconds=HEARTBEAT_PATIENCE * HEARTBEAT_DEFAULT_INTERVAL)",),
    ),
    LeantOn(
        f"{STATE}:InMemoryCoreState.get_fab",
        "self fab_hash",
        ("self.fab_store.get(fab_hash)",),
    ),
    LeantOn(
        f"{STATE}:InMemoryCoreState.store_fab",
        "self fab",
        ("fab_hash = hashlib.sha256(fab.content).hexdigest()", "self.fab_store[fab_hash]"),
    ),
    LeantOn(
        f"{NODE_STATE}:InMemoryNodeState.get_run",
        "self run_id",
        ("self.run_store.get(run_id)",),
    ),
    LeantOn(
        f"{NODE_STATE}:InMemoryNodeState._on_task_tokens_expired",
        "self tasks",
        ("self._store_error_replies(client_run_ids, CLIENT_APP_CRASHED_ERROR)",),
    ),
    LeantOn(
        f"{RUNTIME}:pull_task_input",
        "request state task",
        ("fab := state.get_fab(run.fab_hash)", "fab=fab_to_proto(fab)"),
    ),
    LeantOn(
        f"{TASKS}:pull_task_input",
        "client",
        (
            "client.PullTaskInput(PullTaskInputRequest())",
            "fab = fab_from_proto(res.fab)",
            "client.PullMessages(",
            "pull_and_inflate_object_from_tree(",
            "return message, context, run, fab",
        ),
    ),
    LeantOn(
        f"{FETCHING}:pull_objects",
        (
            "object_ids pull_object_fn max_concurrent_pulls max_time max_tries_per_object "
            "initial_backoff backoff_cap"
        ),
    ),
    LeantOn(
        f"{FETCHING}:pull_and_inflate_object_from_tree",
        (
            "object_tree pull_object_fn confirm_object_received_fn return_type "
            "max_concurrent_pulls max_time max_tries_per_object "
            "initial_backoff backoff_cap"
        ),
        ("initial_backoff=initial_backoff", "backoff_cap=backoff_cap"),
    ),
    LeantOn(
        f"{TASKS}:push_message",
        "client message context",
        ("client.PushMessages(", "push_objects("),
    ),
    LeantOn(
        f"{TASKS}:push_task_output",
        "client context sub_status details",
        ("client.PushTaskOutput(",),
    ),
)


def refuse_drift() -> None:
    """Compare Flower's insides with what is leant on.

    Raises
    ------
    FlowerDriftError
        If any of it differs.
    """
    faults = [fault for leant_on in LEANT_ON for fault in _faults(leant_on)]
    found = version("flwr")
    if found.split(".")[:2] != WANTED.split("."):
        faults.insert(0, "the version")
    if faults:
        raise FlowerDriftError(
            f"Flower {found} was found, Flower {WANTED} is wanted: {'; '.join(faults)} differ from "
            "what keeps unapproved code out. Nothing was started. Install "
            f"flwr>={WANTED},<{NEXT}, unchanged."
        )


def _faults(leant_on: LeantOn) -> Iterator[str]:
    module, _, name = leant_on.place.partition(":")
    try:
        function: Any = import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
        function = inspect.unwrap(function)
        parameters = list(inspect.signature(function).parameters)
        source = inspect.getsource(function)
    except (ImportError, AttributeError, TypeError, ValueError, OSError) as error:
        yield f"{leant_on.place} ({type(error).__name__})"
        return
    if parameters != leant_on.parameters.split():
        yield f"{leant_on.place} (its parameters)"
    place = 0
    for step in leant_on.steps:
        place = source.find(step, place)
        if place < 0:
            yield f"{leant_on.place} (no {step.split(chr(10))[0]!r} where it was)"
            return
        place += len(step)
    for fragment, times in (leant_on.counted or {}).items():
        if source.count(fragment) != times:
            yield f"{leant_on.place} ({fragment!r} {source.count(fragment)} times)"
