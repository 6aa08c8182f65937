"""With whom jobs are shared."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0004"  # landed before it
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("shares_name", "shares", ["kind", "name", "job"])
