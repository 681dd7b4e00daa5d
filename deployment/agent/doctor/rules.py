"""What the region allows: its policy, what is left of its budget, and its approved bundles."""

from __future__ import annotations

from collections.abc import Iterator

from client.operator_view import policy_warnings
from deployment.agent.approvals import read_approvals
from deployment.agent.approving import last_approved
from deployment.agent.comparison import compare_with_installed
from deployment.agent.doctor.finding import Finding, not_checked, warning, well, wrong
from deployment.agent.doctor.patient import Patient
from deployment.agent.errors import AgentError
from deployment.agent.shown_text import shown
from privacy.budget import spending
from privacy.code_identity import code_hash
from privacy.errors import RefusalError
from privacy.policy import Policy
from privacy.records import Account
from privacy.renewal import present_moment, window_to_charge

LITTLE = 0.1
"""Share of a budget: what is left is little."""
FILES_NAMED = 5


def look_at_policy(patient: Patient) -> Iterator[Finding]:
    """Look at what the policy says, and about what."""
    if patient.policy is None:
        yield wrong("policy", patient.policy_fault, "Put it right; `policy show` explains it.")
        yield not_checked("program-approved", "The policy cannot be read.")
        return
    policy, code = patient.policy, code_hash()
    yield _meaning(policy, patient.settings.region, code)
    pinned = policy.trusted.code_hashes
    if pinned and code not in pinned:
        yield wrong(
            "program-approved",
            f"This program is {code}, which the policy's code-hashes lack: every request is "
            "refused (code-not-allowed).",
            "If this release is the one that you want to run, add it to [trusted] code-hashes.",
        )
    elif pinned:
        yield well("program-approved", f"The policy approves of this program ({code}).")
    else:
        yield warning(
            "program-approved",
            f"The policy names no program: an update runs unseen. This one is {code}.",
            "Add it to [trusted] code-hashes.",
        )


def _meaning(policy: Policy, region: str, code: str) -> Finding:
    name = "policy"
    if policy.region != region:
        return wrong(
            name,
            f"The policy is for region {policy.region!r}, the agent is {region!r}.",
            "Name the right policy in agent.toml.",
        )
    cautions = [one for one in policy_warnings(policy, code) if "code-hashes" not in one]
    if cautions:
        return warning(
            name, " ".join(shown(one) for one in cautions), "`fedinterest policy show` explains."
        )
    return well(name, f"The policy of {region} is careful, and pins servers and encoders.")


def budget(patient: Patient, account: Account | None) -> Finding:
    """Tell what is left in the window that would pay now, and ever."""
    name = "budget"
    if patient.policy is None or account is None:
        return not_checked(name, "The policy or the ledger cannot be read.")
    policy = patient.policy
    try:
        window = window_to_charge(
            policy, account.window, present_moment(policy, account, patient.moment)
        )
    except RefusalError as error:
        return wrong(
            name,
            error.sentence,
            "Set the clock right, or: fedinterest ledger renew LEDGER --policy POLICY.",
        )
    spent = spending(policy, account.events(window.name), account.events())
    limits = policy.budget
    left = limits.epsilon - spent.window.epsilon
    ever = limits.lifetime_epsilon - spent.lifetime.epsilon
    found = (
        f"Of window {window.name}'s epsilon {limits.epsilon:g}, {max(left, 0):.4f} is left (until "
        f"{window.end:%Y-%m-%d}); of the lifetime's {limits.lifetime_epsilon:g}, "
        f"{max(ever, 0):.4f}."
    )
    if ever <= LITTLE * limits.lifetime_epsilon:
        return warning(
            name,
            found,
            "When the lifetime's budget is spent nothing is answered any more: decide what it is "
            "spent on. To raise it is to change the promise to users.",
        )
    if left <= LITTLE * limits.epsilon:
        return warning(name, found, "Requests over it are refused until the next window.")
    return well(name, found)


def approvals(patient: Patient) -> Iterator[Finding]:
    """Look at the list of approved bundles, and whether the last one holds this program."""
    agent = patient.agent
    try:
        listed = read_approvals(agent.deployment.approvals)
        latest = last_approved(agent)
    except AgentError as error:
        yield wrong("approvals", str(error), "`fedinterest agent approve --list` tells more.")
        return
    if latest is None:
        yield warning(
            "approvals",
            "No bundle is approved: every message of a server is refused.",
            "fedinterest agent approve BUNDLE.fab, once you have one.",
        )
        return
    counted = sum(listed.counts(one) for one in listed.approved)
    yield well("approvals", f"{counted} bundles are approved, the latest {latest.hash[:16]}...")
    compared = compare_with_installed(latest)
    if compared.is_installed:
        yield well("bundle-and-program", "The bundle approved last holds the installed program.")
        return
    differing = (*compared.different, *compared.only_bundle, *compared.only_installed)
    named = ", ".join(shown(one) for one in differing[:FILES_NAMED])
    more = f" and {len(differing) - FILES_NAMED} more" if len(differing) > FILES_NAMED else ""
    yield warning(
        "bundle-and-program",
        f"The bundle approved last ({shown(latest.version)}) is not the installed program; "
        f"different are {named}{more}. Its server may ask what this program does not know.",
        "Install the release that the bundle was built from.",
    )
