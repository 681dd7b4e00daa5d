"""What a region's operator and privacy officer see in a terminal: rules, costs, the ledger.

policy, account, forecast, verification  ->  tables
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from privacy.accountant import Adjacency, GaussianEvent, PrivacyLoss, Unit, privacy_loss
from privacy.forecast import ForecastLine
from privacy.ledger_check import Verification
from privacy.policy import Policy
from privacy.query import NoiseKind, TrustModel
from privacy.records import Account, LedgerEntry, RecordKind
from strategies.questions import QUESTION_TYPES

console = Console(highlight=False)

REFUSALS_SHOWN = 20


def show_policy(policy: Policy, code: str) -> None:
    """Show what a region allows, in sentences, and what to think about."""
    budget, window, answers = policy.budget, policy.window, policy.answers
    console.print(f"[bold]{escape(policy.region)}[/]")
    console.print(
        f"  One {budget.unit} ({budget.adjacency}) may lose epsilon {budget.epsilon:g} at delta "
        f"{budget.delta:g} in a window, and {budget.lifetime_epsilon:g} at "
        f"{budget.lifetime_delta:g} ever."
    )
    console.print(
        f"  Windows of {window.days} days begin on {window.start:%Y-%m-%d %H:%M %Z}; renewal "
        f"{window.renewal}; answers are made of {_EVENTS[window.events]}."
    )
    console.print(f"  Questions: {', '.join(sorted(answers.questions))}.")
    console.print(
        f"  Trust models: {', '.join(sorted(answers.trust_models))}; noise: "
        f"{', '.join(sorted(answers.noise_kinds))}, at least {answers.least_noise_multiplier:g} "
        f"times the sensitivity; clipping norm at most {answers.largest_clipping_norm:g}."
    )
    console.print(
        f"  At most {answers.most_releases_per_run} releases per run, for at least "
        f"{answers.fewest_participants} clients."
    )
    console.print(f"  These rules, as ledgers name them: {policy.digest()}", soft_wrap=True)
    console.print(f"  This program: {code}", soft_wrap=True)
    for warning in policy_warnings(policy, code):
        console.print(f"  [yellow]![/] {escape(warning)}", soft_wrap=True)


_EVENTS = {"all": "all events up to now", "window": "the window's own events"}


def policy_warnings(policy: Policy, code: str) -> list[str]:
    """Return what to think about: each a sentence; none where a policy is careful.

    Parameters
    ----------
    policy : Policy
    code : str
        Hash of this program.
    """
    answers, trusted = policy.answers, policy.trusted
    found = []
    if unknown := answers.questions - set(QUESTION_TYPES):
        found.append(f"questions has {', '.join(sorted(unknown))}: nobody asks such questions.")
    if TrustModel.CENTRAL in answers.trust_models:
        found.append("trust-models has central: a server then sees exact clipped sums.")
    if NoiseKind.SEEDED in answers.noise_kinds:
        found.append("noise-kinds has seeded: who knows the seed can take the noise off.")
    if not trusted.server_keys:
        found.append("server-keys is empty: whoever reaches this client may spend its budget.")
    if not trusted.encoders:
        found.append("encoders is empty: any language model may be asked for.")
    if not trusted.code_hashes:
        found.append("code-hashes is empty: an update runs without anybody's approval.")
    elif code not in trusted.code_hashes:
        found.append("code-hashes lacks this program: it will refuse everything.")
    return found


def show_forecast(lines: Sequence[ForecastLine], policy: Policy) -> None:
    """Show what a planned run would cost, release by release."""
    table = Table(title=f"What the run would cost one user of {escape(policy.region)}")
    for column in ("release", "question", "noise multiplier", "epsilon after", "lifetime after"):
        table.add_column(column, justify="left" if column in ("release", "question") else "right")
    for line in lines:
        refused = bool(line.refusal)
        table.add_row(
            escape(line.planned.purpose),
            escape(line.planned.kind),
            f"{line.planned.noise_multiplier:.2f}",
            "refused" if refused else f"{line.spending.window.epsilon:.4f}",
            "" if refused else f"{line.spending.lifetime.epsilon:.4f}",
        )
    console.print(table)
    last, budget = lines[-1].spending, policy.budget
    in_window = max(budget.epsilon - last.window.epsilon, 0)
    ever = max(budget.lifetime_epsilon - last.lifetime.epsilon, 0)
    console.print(
        f"Of this window's epsilon {budget.epsilon:g}, {in_window:.4f} would be left; of the "
        f"lifetime's {budget.lifetime_epsilon:g}, {ever:.4f}."
    )
    _show_refused(lines)
    console.print("Clipping norms are settled during the run, and checked at each request.")


def _show_refused(lines: Sequence[ForecastLine]) -> None:
    """Show each reason once, with the first release that it meets."""
    reasons = dict.fromkeys(line.refusal.reason for line in lines if line.refusal)
    for reason in reasons:
        met = [line for line in lines if line.refusal and line.refusal.reason == reason]
        first = met[0].refusal
        purposes = ", ".join(line.planned.purpose for line in met)
        console.print(
            f"[red]Would be refused[/] ({reason}): {escape(purposes)}. "
            f"{escape(first.sentence if first else '')}",
            soft_wrap=True,
        )


def show_ledger(account: Account, policy: Policy | None) -> None:
    """Show what a ledger says: what is spent and left, what was released, what was refused."""
    who = account.identity
    simulated = " (SIMULATED)" if who.simulated else ""
    console.print(
        f"[bold]{escape(who.region)}[/]{simulated}: one {who.unit}, {who.adjacency}; "
        f"key {who.public_key}",
        soft_wrap=True,
    )
    _show_budget(account, policy)
    _show_entries(account)
    for act in account.acts:
        console.print(f"The operator, {_minute(act.time)}: {escape(act.what)}")
    _show_refusals(account)


def _show_budget(account: Account, policy: Policy | None) -> None:
    table = Table(title="Budget", title_justify="left")
    for column in ("span", "releases", "delta", "epsilon spent", "limit", "left"):
        table.add_column(column, justify="left" if column == "span" else "right")
    limits = policy.budget if policy else None
    for window in account.windows:
        events = account.events(window.name)
        loss = _loss(account, window.name)
        _add_budget(table, window.name, len(events), loss, limits.epsilon if limits else None)
    lifetime = _loss(account, None)
    limit = limits.lifetime_epsilon if limits else None
    _add_budget(table, "lifetime", len(account.entries), lifetime, limit)
    console.print(table)


def _loss(account: Account, window: str | None) -> PrivacyLoss:
    who = account.identity
    delta = who.lifetime_delta if window is None else who.delta
    return _loss_of(account, account.events(window), delta)


def _loss_of(account: Account, events: Sequence[GaussianEvent], delta: float) -> PrivacyLoss:
    who = account.identity
    return privacy_loss(
        events, delta=delta, unit=Unit(who.unit), adjacency=Adjacency(who.adjacency)
    )


def _add_budget(
    table: Table, span: str, releases: int, loss: PrivacyLoss, limit: float | None
) -> None:
    told = ("", "") if limit is None else (f"{limit:g}", f"{max(limit - loss.epsilon, 0):.4f}")
    table.add_row(span, str(releases), f"{loss.delta:g}", f"{loss.epsilon:.4f}", *told)


def _show_entries(account: Account) -> None:
    """Show every charge, by run and by who asked under which rules; epsilon is per window."""
    entries = list(account.entries.values())
    groups = dict.fromkeys(_circumstances(entry) for entry in entries)
    for circumstances in groups:
        run, server, encoder, code, policy = circumstances
        console.print(f"[bold]Charged to run {escape(run)}[/]")
        console.print(
            f"  server {server[:16] or 'not signed'}, encoder {encoder[:16] or '-'}, "
            f"program {code[:16] or '-'}, policy {policy[:16]}",
            soft_wrap=True,
        )
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in ("#", "when", "purpose", "question", "noise", "x", "epsilon", ""):
            number = column in ("#", "x", "epsilon")
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for entry in entries:
            if _circumstances(entry) == circumstances:
                until = [one.event for one in entries[: entry.entry] if one.window == entry.window]
                table.add_row(
                    str(entry.entry),
                    _minute(entry.time)[5:],
                    escape(entry.purpose),
                    escape(entry.kind),
                    f"{entry.noise}" + ("" if entry.trust_model == "local" else ", central"),
                    f"{entry.sigma / entry.sensitivity:.2f}",
                    f"{_loss_of(account, until, account.identity.delta).epsilon:.4f}",
                    "" if entry.state == RecordKind.COMMITTED else entry.state,
                )
        console.print(table)
    if entries:
        console.print("x: noise over sensitivity; epsilon: of the window, after it.")
    else:
        console.print("Nothing has been released.")


def _circumstances(entry: LedgerEntry) -> tuple[str, str, str, str, str]:
    return entry.run, entry.server_key, entry.encoder, entry.code, entry.policy


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _show_refusals(account: Account) -> None:
    if not account.refusals:
        console.print("Nothing was refused.")
        return
    console.print(f"[bold]Refused[/]: {len(account.refusals)} requests; the latest:")
    for refusal in account.refusals[-REFUSALS_SHOWN:]:
        console.print(
            f"  {_minute(refusal.time)} {escape(refusal.run)} round "
            f"{refusal.round_number} ({escape(refusal.purpose)}): [red]{refusal.reason}[/]. "
            f"{escape(refusal.sentence)}",
            soft_wrap=True,
        )


def show_verification(path: str, found: Verification) -> None:
    """Show what holds, what does not, and what was not looked at."""
    account = found.account
    if account is not None:
        console.print(
            f"{escape(path)}: {account.sequence} records of {escape(account.identity.region)}, "
            f"head {account.head[:16]}..., {len(account.entries)} entries, "
            f"{len(account.refusals)} refusals",
            soft_wrap=True,
        )
    for fault in found.faults:
        console.print(f"[red]FAIL[/] {escape(fault)}", soft_wrap=True)
    for missing in found.unchecked:
        console.print(f"[yellow]not checked[/] {escape(missing)}", soft_wrap=True)
    if found.holds:
        console.print("[green]OK[/] chain, signatures and kept replies hold.")
