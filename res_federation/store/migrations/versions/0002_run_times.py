"""What a job is expected to run, and what is known of its user."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("estimate_s", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_table(
        "users",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("history", sa.LargeBinary, nullable=False),
    )
