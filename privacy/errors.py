"""Errors of the privacy layer: each says what was found, what was not done, and what to do."""


class PrivacyError(Exception):
    """Something that keeps a release from being made."""


class PolicyError(PrivacyError):
    """A policy file that cannot be read, or that says something impossible."""


class LedgerError(PrivacyError):
    """A ledger that cannot be used: damaged, of another client, or not writable."""


class DamagedLedgerError(LedgerError):
    """A ledger whose records, signatures or witness do not agree."""


class KeyFileError(LedgerError):
    """A signing key that cannot be used."""


class ContributionError(PrivacyError):
    """Contributions that do not have the shape that the query asks for."""


class RefusalError(PrivacyError):
    """A request that this client does not answer.

    Parameters
    ----------
    reason : str
        Machine-readable, kebab-case, for example ``"budget-exhausted"``.
    sentence : str
        The same for people. It depends on the request, the policy, the ledger
        and declared constants only, never on anybody's data.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
