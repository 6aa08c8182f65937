"""Who the sites are: invitations and certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("made", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("ended", sa.Float),
        sa.Column("serial", sa.Text),
    )
    op.create_index("invitations_site", "invitations", ["site"])
    op.create_table(
        "certificates",
        sa.Column("serial", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("signed", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("pem", sa.Text, nullable=False),
        sa.Column("renewed", sa.Text),
        sa.Column("revoked", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("certificates_renewed", "certificates", ["renewed"], unique=True)
    op.create_index("certificates_site", "certificates", ["site", "signed"])
