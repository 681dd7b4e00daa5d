"""Guessing takes ever longer, in bounded memory."""

from __future__ import annotations

from server.dashboard.brute_force import BY_ACCOUNT, BY_ADDRESS, FORGOTTEN, Guard
from tests.server.dashboard.test_sessions import Clock


def fail_until_refused(guard: Guard, clock: Clock, account: str, address: str) -> float:
    for _ in range(50):
        wait = guard.attempt(account, address)
        if wait:
            return wait
    raise AssertionError("never refused")


def test_delays_grow_and_stay_bounded() -> None:
    clock = Clock()
    guard = Guard(clock=clock)
    waits: list[float] = []
    for _ in range(15):
        wait = fail_until_refused(guard, clock, f"name {len(waits)}", "192.0.2.1")
        waits.append(wait)
        clock.now += wait
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == BY_ADDRESS.longest


def test_an_account_is_guarded_from_many_addresses() -> None:
    guard = Guard(clock=Clock())
    waits = [guard.attempt("maria", f"192.0.2.{n}") for n in range(BY_ACCOUNT.free + 1)]
    assert waits[:-1] == [0.0] * BY_ACCOUNT.free
    assert waits[-1] > 0
    assert guard.attempt("MARIA", "192.0.2.99") > 0


def test_who_has_a_whole_network_is_one_address() -> None:
    guard = Guard(clock=Clock())
    waits = [guard.attempt(f"user {n}", f"2001:db8::{n:x}") for n in range(BY_ADDRESS.free + 1)]
    assert waits[-1] > 0
    assert guard.attempt("somebody", "2001:db8:0:1::1") == 0


def test_success_forgives_the_account_but_not_the_address() -> None:
    guard = Guard(clock=Clock())
    for n in range(BY_ADDRESS.free - 1):
        assert guard.attempt(f"guessed {n}", "192.0.2.1") == 0
    assert guard.attempt("own", "192.0.2.1") == 0
    guard.succeeded("own", "192.0.2.1")
    assert guard.attempt("guessed", "192.0.2.1") == 0
    assert guard.attempt("guessed more", "192.0.2.1") > 0


def test_failures_are_forgotten_after_an_hour() -> None:
    clock = Clock()
    guard = Guard(clock=clock)
    fail_until_refused(guard, clock, "maria", "192.0.2.1")
    clock.now += FORGOTTEN + 1
    assert guard.attempt("maria", "192.0.2.1") == 0


def test_memory_is_bounded_whatever_names_are_sent() -> None:
    guard = Guard(most=50, clock=Clock())
    for n in range(500):
        guard.attempt("x" * 10_000 + str(n), f"10.0.{n // 250}.{n % 250}")
    assert len(guard._accounts) == len(guard._addresses) == 50
    assert max(map(len, guard._accounts)) == 64


def test_a_million_failures_are_still_counted() -> None:
    clock = Clock()
    guard = Guard(clock=clock)
    for _ in range(2000):
        clock.now += BY_ADDRESS.longest
        assert guard.attempt("maria", "192.0.2.1") == 0
    assert 0 < guard.attempt("maria", "192.0.2.1") <= BY_ADDRESS.longest
