"""An experiment's outcome as the report tells it.

Experiment (released values)  ->  FeedbackPart
"""

from __future__ import annotations

from server.report import ArmPart, DifferencePart, FeedbackPart, MeanPart
from strategies.arm_comparison import ArmFigures, Experiment, Mean


def feedback_part(found: Experiment) -> FeedbackPart:
    """Return the report's section on an experiment."""
    return FeedbackPart(
        experiment=found.name,
        window_days=found.window_days,
        dwell_cap_seconds=found.dwell_cap,
        arms=[_arm(arm) for arm in found.arms],
        differences=[
            DifferencePart(
                arm=one.arm,
                against=one.against,
                acceptance=one.value,
                low=one.low,
                high=one.high,
                stands_out=one.stands_out,
                sentence=one.told(),
            )
            for one in found.differences
        ],
    )


def _arm(arm: ArmFigures) -> ArmPart:
    return ArmPart(
        name=arm.name,
        noisy_users=round(arm.users.value, 1) + 0.0,
        users_noise=round(arm.users.noise, 2),
        acceptance=_mean(arm.acceptance),
        skips=_mean(arm.skips),
        dwell_seconds=_mean(arm.dwell_seconds),
    )


def _mean(mean: Mean | None) -> MeanPart | None:
    return MeanPart(value=mean.value, noise=mean.noise) if mean else None
