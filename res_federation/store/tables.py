"""The tables. Rows are written from, and read into, the frozen model; nothing maps itself."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("job", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("submitted", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("exit_code", BigInteger),
    Column("idempotency_key", Text),
    Column("revision", BigInteger, nullable=False),
    Column("cancel_asked", Boolean, nullable=False),
    Column("script", LargeBinary, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    Column("runs", LargeBinary, nullable=False),
    Column("refused", LargeBinary, nullable=False),
    Column("decision", LargeBinary, nullable=False),
    Column("decided_at", Float, nullable=False),
    Column("estimate_s", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Index("jobs_key", "user", "idempotency_key", unique=True),
    Index("jobs_state", "state", "job"),
    Index("jobs_user", "user", "job"),
    Index("jobs_site", "site", "job"),
    Index("jobs_project", "project", "job"),
)
"""One row a job, as it stands. A key that is null is no key."""

events = Table(
    "events",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("job", Text),
    Column("site", Text),
    Column("at", Float, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("events_job", "job", "revision"),
)
"""Everything that happened, in order; written in the same transaction as the row it changes."""

scripts = Table(
    "scripts",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
"""Scripts by content: a thousand jobs of one script keep it once."""

sites = Table(
    "sites",
    metadata,
    Column("site", Text, primary_key=True),
    Column("drained", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("user", Text, primary_key=True),
    Column("history", LargeBinary, nullable=False),
)
"""What is known of each user: how long the newest ended jobs ran of their limits."""

forecasts = Table(
    "forecasts",
    metadata,
    Column("job", Text, primary_key=True),
    Column("forecast", LargeBinary, nullable=False),
)
"""What a job that had to wait was told of when it starts: written once."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("job", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
)
"""Each of them with when its job started, in that order: what later ones are learnt from."""

forecast_errors = Table(
    "forecast_errors",
    metadata,
    Column("site", Text, primary_key=True),
    Column("error", LargeBinary, nullable=False),
)
"""How good all of them were, by the site where the jobs started."""

ledger = Table(
    "ledger",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("grant", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("once", Text, unique=True),
    Column("note", Text, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Index("ledger_grant", "grant", "number"),
    Index("ledger_project", "project", "number"),
)
"""Entries of the ledger: appended, in the transaction of what they are about."""

balances = Table(
    "balances",
    metadata,
    Column("account", Text, primary_key=True),
    Column("core_s", BigInteger, nullable=False),
    Column("accelerator_s", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
)
"""What all entries together leave in each account."""

books = Table(
    "books",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("record", LargeBinary, nullable=False),
)
"""Pools, projects, members and grants, as they stand."""

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("entry", LargeBinary, nullable=False),
)
"""The audit log (`model.audit_chain`). Triggers refuse every change but an appended row."""

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
"""Its heads as they were signed; append-only as well."""

frames = Table(
    "frames",
    metadata,
    Column("frame", LargeBinary, primary_key=True),
    Column("partitions", LargeBinary, nullable=False),
)
"""Lists of partitions that packed decisions refer to."""

machine_accounts = Table(
    "machine_accounts",
    metadata,
    Column("account", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("made", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("revoked", Float),
    Column("seen", Float, nullable=False, server_default="0"),
    Index("machine_accounts_digest", "digest", unique=True),
)
"""Of their tokens only the digests. An account is never removed: its name stands in jobs."""

shares = Table(
    "shares",
    metadata,
    Column("job", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("shares_name", "kind", "name", "job"),
)
"""With whom a job is shared: a user or a project."""

invitations = Table(
    "invitations",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("site", Text, nullable=False),
    Column("made", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("ended", Float),
    Column("serial", Text),
    Index("invitations_site", "site"),
)
"""Of the secrets only the digests. With a serial it was used; ended without one, taken back."""

certificates = Table(
    "certificates",
    metadata,
    Column("serial", Text, primary_key=True),
    Column("site", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("signed", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("pem", Text, nullable=False),
    Column("renewed", Text),
    Column("revoked", Float),
    Column("reason", Text, nullable=False),
    Index("certificates_renewed", "renewed", unique=True),
    Index("certificates_site", "site", "signed"),
)
"""Every certificate that was signed for a site; one is renewed at most once."""
