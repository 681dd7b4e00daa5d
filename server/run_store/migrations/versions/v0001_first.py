"""The first schema: runs, what they asked and found, regions, budgets and audits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "audit",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=False),
        sa.Column("paths", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_made", "audit", ["made"], unique=False)
    op.create_table(
        "budget",
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("spent", sa.Double(), nullable=True),
        sa.Column("limit", sa.Double(), nullable=True),
        sa.Column("delta", sa.Double(), nullable=False),
        sa.Column("releases", sa.BigInteger(), nullable=False),
        sa.Column("computed", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("region", "public_key", "window", "source", name="pk_budget"),
    )
    op.create_table(
        "region",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run", sa.String(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_region"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("trust_model", sa.Text(), nullable=False),
        sa.Column("epsilon", sa.Double(), nullable=True),
        sa.Column("delta", sa.Double(), nullable=False),
        sa.Column("declared_users", sa.BigInteger(), nullable=True),
        sa.Column("n_clients", sa.BigInteger(), nullable=False),
        sa.Column("noise", sa.Text(), nullable=True),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("failure_type", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("resumed", sa.BigInteger(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_index("ix_run_name_started", "run", ["name", "started"], unique=False)
    op.create_index("ix_run_started", "run", ["started"], unique=False)
    op.create_table(
        "spending",
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("sensitivity", sa.Double(), nullable=False),
        sa.Column("sigma", sa.Double(), nullable=False),
        sa.Column("step", sa.Double(), nullable=False),
        sa.Column("releases", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "region", "public_key", "window", "sensitivity", "sigma", "step", name="pk_spending"
        ),
    )
    op.create_table(
        "audited_ledger",
        sa.Column("audit_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("releases", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.Double(), nullable=True),
        sa.Column("limit", sa.Double(), nullable=True),
        sa.Column("delta", sa.Double(), nullable=True),
        sa.Column("faults", sa.Text(), nullable=False),
        sa.Column("incidents", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["audit_id"], ["audit.id"], name="fk_audited_ledger_audit", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("audit_id", "number", name="pk_audited_ledger"),
    )
    op.create_index("ix_audited_ledger_region", "audited_ledger", ["region"], unique=False)
    op.create_table(
        "figure",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("noise", sa.Double(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_figure_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_figure"),
    )
    op.create_index("ix_figure_name", "figure", ["name"], unique=False)
    op.create_table(
        "map",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("k", sa.BigInteger(), nullable=False),
        sa.Column("n_groups", sa.BigInteger(), nullable=False),
        sa.Column("size_noise", sa.Double(), nullable=True),
        sa.Column("warning", sa.Text(), nullable=True),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_map_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_map"),
    )
    op.create_table(
        "refusal",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_refusal_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "round", "region", name="pk_refusal"),
    )
    op.create_index("ix_refusal_received", "refusal", ["received"], unique=False)
    op.create_index("ix_refusal_region_received", "refusal", ["region", "received"], unique=False)
    op.create_table(
        "release",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("sensitivity", sa.Double(), nullable=False),
        sa.Column("sigma", sa.Double(), nullable=False),
        sa.Column("step", sa.Double(), nullable=False),
        sa.Column("noise", sa.Text(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_release_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "round", "region", name="pk_release"),
    )
    op.create_index("ix_release_received", "release", ["received"], unique=False)
    op.create_index("ix_release_region_received", "release", ["region", "received"], unique=False)
    op.create_table(
        "report",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_report_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_report"),
    )
    op.create_table(
        "round",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("sensitivity", sa.Double(), nullable=True),
        sa.Column("sigma", sa.Double(), nullable=True),
        sa.Column("step", sa.Double(), nullable=True),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("malformed", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.BigInteger(), nullable=False),
        sa.Column("bytes_up", sa.BigInteger(), nullable=False),
        sa.Column("bytes_down", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_round_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_round"),
    )
    op.create_table(
        "cluster",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("noisy_size", sa.Double(), nullable=False),
        sa.Column("size_noise", sa.Double(), nullable=True),
        sa.Column("parent", sa.BigInteger(), nullable=True),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["map.run_id"], name="fk_cluster_map", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_cluster"),
    )


def downgrade() -> None:
    """Go back: to nothing."""
    op.drop_table("cluster")
    op.drop_table("round")
    op.drop_table("report")
    op.drop_table("release")
    op.drop_table("refusal")
    op.drop_table("map")
    op.drop_table("figure")
    op.drop_table("audited_ledger")
    op.drop_table("spending")
    op.drop_table("run")
    op.drop_table("region")
    op.drop_table("budget")
    op.drop_table("audit")
