"""The operator's side of tokens: make one for a region, keep what checks it."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployment.enrolment.errors import TokenError
from deployment.enrolment.request import check_region, spell_time
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.token import Token

LONGEST_HOURS = 24 * 31


def make_token(
    store: EnrolmentStore, region: str, *, hours: float, who: str, moment: datetime
) -> Token:
    """Make a token for a region; an unused older one of the same region no longer counts.

    Parameters
    ----------
    hours : float
        How long it can be used.
    who : str
        Who makes it, for the record.

    Raises
    ------
    TokenError
        If the name cannot be one, the time is out of range, or the region is enrolled or waiting.
    StoreError
        If the record cannot be written.
    """
    try:
        check_region(region)
    except ValueError as error:
        raise TokenError(f"Region {region!r}: {error}. No token was made.") from error
    if not 0 < hours <= LONGEST_HOURS:
        raise TokenError(
            f"A token is good for up to {LONGEST_HOURS} hours, found {hours:g}. No token was made."
        )
    token = Token.create()
    now = spell_time(moment)
    with store.writing() as db:
        live = db.execute(
            "SELECT state FROM enrolments WHERE region = ? AND state IN ('waiting', 'approved')",
            (region,),
        ).fetchone()
        if live is not None:
            found = "is enrolled" if live["state"] == "approved" else "has a request waiting"
            raise TokenError(
                f"Region {region!r} {found}. No token was made. To enrol it anew, with other keys, "
                "revoke it first."
            )
        db.execute(
            "UPDATE tokens SET cancelled = ? "
            "WHERE region = ? AND used_at IS NULL AND cancelled IS NULL",
            (now, region),
        )
        db.execute(
            "INSERT INTO tokens (verifier, region, made_at, made_by, expires) "
            "VALUES (?, ?, ?, ?, ?)",
            (token.verifier, region, now, who, spell_time(moment + timedelta(hours=hours))),
        )
    return token
