"""A PostgreSQL server of its own for tests, on a socket in a temporary folder, where one is installed."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote


def postgres_programs() -> Path | None:
    """Find the folder of `initdb` and `pg_ctl`: on the path, or where Debian keeps them."""
    on_path = shutil.which("pg_ctl")
    found = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((one for one in reversed(found) if (one / "initdb").exists()), None)


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Run a server that nobody else reaches and give its address."""
    # It refuses to run as root; the path of its socket must be short.
    user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    with TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        if user:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)

        def do(program: str, *options: str) -> None:
            done = [str(programs / program), "-D", f"{folder}/data", *options]
            subprocess.run(done, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)

        do("initdb", "--no-sync", "--auth=trust", "--username=clms", "--encoding=UTF8", "--no-instructions")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=20"
        do("pg_ctl", "-w", "-t", "120", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://clms@/postgres?host={quote(folder, safe='')}"
        finally:
            do("pg_ctl", "-w", "-t", "60", "-m", "immediate", "stop")
