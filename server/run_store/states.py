"""The words for how runs and their rounds fare; apart, so that readers load nothing else."""

from __future__ import annotations

RUNNING, COMPLETED, FAILED, INTERRUPTED = "running", "completed", "failed", "interrupted"
PLANNED, ASKED, DONE = "planned", "asked", "done"
