"""Pools, projects, members, grants, and the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"  # landed before it
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("grant", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("once", sa.Text, unique=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("lines", sa.LargeBinary, nullable=False),
    )
    op.create_index("ledger_grant", "ledger", ["grant", "number"])
    op.create_index("ledger_project", "ledger", ["project", "number"])
    op.create_table(
        "balances",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("core_s", sa.BigInteger, nullable=False),
        sa.Column("accelerator_s", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "books",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
