"""Exported scripts, run by their command line in this process: a new one takes seconds to import what it needs."""

import io
import runpy
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from unittest.mock import patch


def run_script(script: Path | str, *options: str, folder: Path | None = None) -> str:
    """Run a script with options, in a folder, and give what it prints.

    Raises:
        SystemExit: It ends with a complaint, which is the message.
    """
    printed = io.StringIO()
    with patch.object(sys, "argv", [str(script), *options]), redirect_stdout(printed), chdir(folder or Path.cwd()):
        runpy.run_path(str(script), run_name="__main__")
    return printed.getvalue()
