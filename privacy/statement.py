"""The privacy of a run in one sentence, as its report tells it and the audit reads it.

epsilon, delta, window, trust model  ->  the sentence
"""

from __future__ import annotations

from privacy.query import TrustModel

_PROMISE = (
    "Adding or removing any one user, with everything that the user did, changes the probability "
    "of anything that {releaser} released in this run by at most a factor e^{epsilon:g}, but for a "
    "probability of {delta:g}; {trust}. It is charged to the budgets for window {window}."
)
_SIMULATED = (
    " This run was a simulation with seeded noise: the statement is about the same run with "
    "noise that nobody can repeat."
)
NOTHING_PROMISED = (
    "Nothing is promised about anybody's privacy: epsilon is infinite, the noise is negligible."
)
_RELEASER = {TrustModel.LOCAL: "the regions", TrustModel.CENTRAL: "the server"}
_TRUSTED = {
    TrustModel.LOCAL: "nobody but the user's own region has to be trusted for that",
    TrustModel.CENTRAL: "the server has to be trusted to add the noise, it sees exact clipped sums",
}


def statement(
    epsilon: float | None, delta: float, *, window: str, trust_model: TrustModel, seeded: bool
) -> str:
    """Return the sentence.

    Parameters
    ----------
    epsilon : float, optional
        None where nothing is promised.
    delta : float
    window : str
        Whose budgets were charged.
    trust_model : TrustModel
    seeded : bool
        Whether the noise was a simulation's.
    """
    if epsilon is None:
        return NOTHING_PROMISED
    promise = _PROMISE.format(
        window=window,
        epsilon=epsilon,
        delta=delta,
        releaser=_RELEASER[trust_model],
        trust=_TRUSTED[trust_model],
    )
    return promise + _SIMULATED if seeded else promise
