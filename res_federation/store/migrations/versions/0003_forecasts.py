"""When jobs were expected to start, and when they did."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecasts",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("forecast", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "outcomes",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("outcome", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "forecast_errors",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("error", sa.LargeBinary, nullable=False),
    )
