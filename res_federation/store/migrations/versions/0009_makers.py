"""When the maker of a machine's token was last seen in its project."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "machine_accounts", sa.Column("seen", sa.Float, nullable=False, server_default="0")
    )
    op.execute("UPDATE machine_accounts SET seen = made")
