"""A PostgreSQL of the tests' own: its files in a temporary folder, listening on the loopback address only.

`conftest.py` has it as the fixture `postgres`, one server a test process; a test takes a `fresh_database` of it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

START = 30  # seconds until it answers
DEBIAN = Path("/usr/lib/postgresql")  # the programs of each version are there, not on the PATH


def program(name):
    """The path of one of PostgreSQL's programs, of the newest version; None where it is not there."""
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return shutil.which(name) or next((str(folder / name) for folder in versions if (folder / name).exists()), None)


def missing():
    """What a test on a real PostgreSQL needs and this machine does not have; None where all is there."""
    absent = [name for name in ("initdb", "postgres") if program(name) is None]
    return f"PostgreSQL's {absent[0]} is not there: apt-get install postgresql" if absent else None


class PostgresServer:
    """One server with the superuser `postgres`, who needs no password.

    Args:
        folder: for its files; its own user can write there.
        fsync: whether a commit survives the machine, as it does in earnest.
        settings: more of `postgres -c`.
    """

    def __init__(self, folder, *, fsync=False, settings=()):
        self.folder = folder
        self._settings = (f"fsync={'on' if fsync else 'off'}", *settings)
        self._process = None
        self.port = _free_port()
        words = ["-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions", "--locale=C.UTF-8", "-E", "UTF8"]
        command = [program("initdb"), "-D", folder / "data", *words]
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, **_user())
        assert done.returncode == 0, done.stderr

    def start(self):
        """Start it, after `stop` again at the same port; return once it answers.

        Call it on the main thread: on Linux the server ends with the thread that started it.
        """
        settings = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=", *self._settings)
        command = [program("postgres"), "-D", self.folder / "data", *(word for s in settings for word in ("-c", s))]
        if setpriv := shutil.which("setpriv"):  # Linux: it ends with the process that started it
            command = [setpriv, "--pdeathsig", "QUIT", *command]
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **_user()
            )
        until = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how=signal.SIGQUIT):
        """End it: SIGQUIT as a crash would, SIGINT in good order. All its sessions end with it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(how)
            self._process.wait(START)
            self._process = None

    def url(self, database="postgres"):
        """The URL of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, sql, database="postgres"):
        """Run one statement of the test's own; its rows, if it has any."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(sql)
            return done.fetchall() if done.description else []

    def _answers(self):
        import psycopg

        with suppress(psycopg.OperationalError):
            self.execute("SELECT 1")
            return True
        return False


@contextmanager
def running(*, fsync=False, settings=(), parent=None):
    """A server for a `with` block, with everything of it gone afterwards; its files are in a folder below `parent`."""
    folder = Path(
        tempfile.mkdtemp(prefix="agentkit-postgres-", dir=parent)
    )  # pytest's own folders are closed to another user
    try:
        if user := _user():
            shutil.chown(folder, user["user"])
        server = PostgresServer(folder, fsync=fsync, settings=settings)
        try:
            _start(server)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh_database(server):
    """The URL of a new, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


def _user():
    """Root may not run PostgreSQL: Debian's package brings a user who may, `nobody` is everywhere."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not on Windows

    names = {user.pw_name for user in pwd.getpwall()}
    found = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": found.pw_name, "group": found.pw_gid, "extra_groups": []}


def _start(server):
    """Start it for the first time; another process can have taken the port meanwhile."""
    for again in (True, True, False):
        try:
            return server.start()
        except RuntimeError as error:
            if not again or "could not bind" not in str(error):
                raise
            server.port = _free_port()
    return None


def _free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
