"""What a run's own account lays into its directory harms neither the agent nor anybody else.

The agent is root here, and the directory belongs to a real account of another number. Each file
that the agent reads or writes there is replaced by each kind of trap.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from res_federation.agent.disk import closed
from res_federation.agent.fences import Fence
from res_federation.agent.outputs import pieces
from res_federation.agent.rundir import RunDirectory
from res_federation.agent.slurm.bell import Bell
from res_federation.agent.slurm.tasks import TaskBook
from res_federation.errors import FailedPrecondition, FederationError
from res_federation.model.identifiers import RunToken
from res_federation.model.job import JobSpec
from res_federation.model.order import Read
from tests.agent.local_accounts import People
from tests.agent.patience import PATIENCE_S

TOKEN, OTHER = RunToken("01J00000000000000000000S01-1"), RunToken("01J00000000000000000000S02-1")
SECRET = "7 the secret_of_root 5 6 .\n"
READ = ("out.batch", "err.batch", "lease", "fence", "cancel", "begun.batch", "exit.batch",
        "again.batch", "spec.json")  # fmt: skip
WRITTEN = ("script", "spec.json", "lease", "fence", "cancel", "cancel.3", "batch.1", "array")
TRAPS = ("symlink", "dangling", "hardlink", "moved", "fifo", "device", "directory",
         "full directory")  # fmt: skip


class Site:
    """A root-owned directory of runs, with one run that was given to a real account."""

    def __init__(self, root: Path, owner: str) -> None:
        self.root, self.secret = root, root / "shadow"
        self.entry = pwd.getpwnam(owner)
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        self.outside = root / "outside"
        self.outside.mkdir(mode=0o700)
        self.runs = root / "runs"
        self.runs.mkdir(mode=0o711)
        self.run = RunDirectory.of(self.runs, TOKEN)
        self.spec = JobSpec("n", "u", "#!/bin/sh\n")
        self.run.prepare(self.spec)
        self.run.write_for_payload("batch.1", b"#!/bin/sh\n", mode=0o700)
        self.run.write_for_payload("array", b"1 -1 -1\n")
        self.run.give_to(self.entry.pw_uid, self.entry.pw_gid)

    def lay(self, name: str, trap: str) -> None:
        """Put a trap in the place of a file, as the run's account could (or root, for a device)."""
        path = self.run.path / name
        path.unlink(missing_ok=True)
        match trap:
            case "symlink":
                path.symlink_to(self.secret)
            case "dangling":
                path.symlink_to(self.outside / "made-by-root")
            case "hardlink":  # where fs.protected_hardlinks is off, anybody can
                os.link(self.secret, path)
            case "moved":  # such a link, whose other name went away: a log was turned over
                path.write_text(SECRET)
            case "fifo":
                os.mkfifo(path)
                os.chown(path, self.entry.pw_uid, self.entry.pw_gid)
            case "device":
                os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # zeros without an end
                os.chown(path, self.entry.pw_uid, self.entry.pw_gid)
            case "directory" | "full directory":
                path.mkdir()
                if trap == "full directory":
                    (path / "within").write_text("x")
                os.chown(path, self.entry.pw_uid, self.entry.pw_gid)

    def unharmed(self) -> None:
        """Check that nothing outside of the run was read into, written, or given away."""
        assert self.secret.read_text() == SECRET
        found = self.secret.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
        assert list(self.outside.iterdir()) == []


@pytest.fixture
def site(people: People) -> Iterator[Site]:
    root = Path(tempfile.mkdtemp(prefix="rfedtest-"))
    root.chmod(0o711)
    yield Site(root, people.one)
    shutil.rmtree(root)


def bounded(act: Callable[[], object], seconds: float = PATIENCE_S) -> object:
    """Do something that must not hang."""

    async def limited() -> object:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(act)

    return asyncio.run(limited())


def output(site: Site, *, error: bool) -> str:
    found = list(pieces(Read("r", TOKEN, -1, error, 0, 4096), site.runs))
    return "".join(piece.data.decode(errors="replace") + piece.error for piece in found)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("name", READ)
def test_nothing_is_read_through_a_trap(site: Site, name: str, trap: str) -> None:
    site.lay(name, trap)
    fence = Fence(site.run.path)

    def everything() -> str:
        told = [output(site, error=False), output(site, error=True), fence.word(), site.run.lease()]
        told += [fence.begun("batch"), fence.exit("batch"), fence.again("batch"), fence.marks()]
        told += [fence.withdrawn(), fence.unbegun(), fence.asking(), site.run.is_array]
        try:
            told.append(TaskBook.read(TOKEN, site.run.path).spec)
        except FailedPrecondition as error:
            told.append(str(error))
        return repr(told)

    told = str(bounded(everything))
    assert "secret" not in told
    assert "\0" not in told
    site.unharmed()


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("aside", [False, True])
def test_nothing_is_written_through_a_trap(
    site: Site, name: str, trap: str, *, aside: bool
) -> None:
    site.lay(f".{name}.new" if aside else name, trap)
    fence, run = Fence(site.run.path), site.run

    def everything() -> None:
        run.prepare(site.spec)
        run.write_for_payload("batch.1", b"#!/bin/sh\n", mode=0o700)
        run.write_for_payload("array", b"1 -1 -1\n")
        run.give_to(site.entry.pw_uid, site.entry.pw_gid)
        run.write_lease(1234.0)
        fence.put_up()
        fence.cancel("3")
        fence.cancel_all()

    bounded(everything)
    site.unharmed()
    path = run.path / name
    found = path.lstat()
    assert stat.S_ISREG(found.st_mode), "what the agent says stands there, whatever was in the way"
    theirs = name in ("script", "batch.1", "array")
    assert found.st_uid == (site.entry.pw_uid if theirs else 0)
    assert run.lease() == 1234.0
    assert fence.word() == "end"
    assert TaskBook.read(TOKEN, run.path).spec.name == "n"


def test_the_agent_believes_no_description_that_the_account_wrote(site: Site) -> None:
    path = site.run.path / "spec.json"
    path.unlink()
    path.write_text('{"name": "forged", "user": "u", "script": ""}')
    os.chown(path, site.entry.pw_uid, site.entry.pw_gid)
    with pytest.raises(FailedPrecondition, match="does not say what it runs"):
        TaskBook.read(TOKEN, site.run.path)


def test_a_file_of_another_user_is_not_read(site: Site, people: People) -> None:
    theirs = site.root / "theirs"
    theirs.write_text("data of two\n")
    os.chown(theirs, pwd.getpwnam(people.two).pw_uid, -1)
    os.link(theirs, site.run.path / "out.batch")
    assert "data of two" not in output(site, error=False)


def test_what_the_payload_wrote_itself_is_read(site: Site) -> None:
    path = site.run.path / "out.batch"
    path.write_text("hello\n")
    os.chown(path, site.entry.pw_uid, site.entry.pw_gid)
    assert output(site, error=False) == "hello\n"


def test_the_account_can_move_neither_its_directory_nor_anothers(
    site: Site, people: People
) -> None:
    RunDirectory.of(site.runs, OTHER).prepare(site.spec)
    entry = pwd.getpwnam(people.one)

    def as_them(act: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            try:
                act()
            except PermissionError:
                os._exit(13)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    here, other = site.run.path, site.runs / OTHER
    assert as_them(lambda: here.rename(site.runs / "elsewhere")) == 13
    assert as_them(here.rmdir) == 13
    assert as_them((site.runs / "mine").mkdir) == 13
    assert as_them(lambda: list(site.runs.iterdir())) == 13
    assert as_them(lambda: list(other.iterdir())) == 13
    assert as_them(lambda: (here / "own").write_text("x")) == 0


def test_an_agent_for_several_accounts_stands_on_closed_ground(people: People) -> None:
    root = Path(tempfile.mkdtemp(prefix="rfedtest-"))
    try:
        state = root / "above" / "state"
        state.mkdir(parents=True, mode=0o711)
        closed(state)
        entry = pwd.getpwnam(people.one)
        for each in (state, state.parent, root):
            before = each.stat()
            each.chmod(0o777)
            with pytest.raises(FailedPrecondition, match="others than root can write"):
                closed(state)
            each.chmod(stat.S_IMODE(before.st_mode))
            os.chown(each, entry.pw_uid, -1)
            with pytest.raises(FailedPrecondition):
                closed(state)
            os.chown(each, 0, entry.pw_gid)
            each.chmod(0o771)
            with pytest.raises(FailedPrecondition):
                closed(state)
            os.chown(each, 0, 0)
            each.chmod(stat.S_IMODE(before.st_mode))
        closed(state)
    finally:
        shutil.rmtree(root)


def test_a_directory_full_of_traps_is_removed_and_nothing_else(site: Site) -> None:
    for number, trap in enumerate(TRAPS):
        site.lay(f"trap{number}", trap)
        site.lay(f"work/trap{number}", trap)
    (site.run.work / "out").symlink_to(site.outside)
    (site.outside / "kept").write_text("x")
    bounded(site.run.remove)
    assert not site.run.path.exists()
    assert (site.outside / "kept").read_text() == "x"
    assert site.secret.read_text() == SECRET


@pytest.mark.parametrize("token", ["..", "../x", "/etc", "a/b", "", "x" * 81, "a\n", ".hidden"])
def test_no_token_leads_out(site: Site, token: str) -> None:
    with pytest.raises(FederationError):
        RunDirectory.of(site.runs, RunToken(token))
    (piece,) = pieces(Read("r", RunToken(token), -1, False, 0, 10), site.runs)
    assert piece.data == b""
    assert piece.error


@pytest.mark.parametrize("offset", [-5, 2**62])
def test_an_order_to_read_with_wild_numbers_reads_nothing_wild(site: Site, offset: int) -> None:
    path = site.run.path / "out.batch"
    path.write_text("hello\n")
    os.chown(path, site.entry.pw_uid, site.entry.pw_gid)
    found = list(pieces(Read("r", TOKEN, -1, False, offset, 2**62), site.runs))
    assert b"".join(piece.data for piece in found) in (b"", b"hello\n")


def test_the_bell_takes_any_noise(people: People) -> None:
    """Any account may lay things there: it costs the agent no time, and no memory."""
    root = Path(tempfile.mkdtemp(prefix="rfedtest-"))
    try:
        bell = Bell(root, shared=True)
        assert stat.S_IMODE(bell.path.stat().st_mode) == 0o1733
        (bell.path / "full").mkdir()
        (bell.path / "full" / "x").write_text("")
        (bell.path / "empty").mkdir()
        (bell.path / "link").symlink_to("/etc/passwd")
        os.mkfifo(bell.path / "pipe")
        (bell.path / "..name").write_text("")
        (bell.path / f"{TOKEN}.batch").write_text("")
        assert asyncio.run(asyncio.wait_for(bell.rung(busy=True), PATIENCE_S)) == {TOKEN}
        assert [each.name for each in bell.path.iterdir()] == ["full"]
        began = time.process_time()
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(bell.rung(busy=True), 1))
        assert time.process_time() - began < 0.5, "what cannot be taken away rings no more"
    finally:
        shutil.rmtree(root)
    assert Path("/etc/passwd").is_file()
    assert people.one
