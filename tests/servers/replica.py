"""A process that serves the doors over a data folder: `python -m tests.servers.replica FOLDER` prints its address.

Its computation waits for a file `go` in that folder, and leaves a file `stopped` where it was stopped.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Any

from assistant.agent import Assistant
from assistant.settings import Settings
from tests.servers.doors import served
from tests.servers.menu import SmallToolbox, small_assistant
from tools.schema import ToolResult


class WaitingToolbox(SmallToolbox):
    """Computes once it may."""

    def compute(
        self, index: Any, place: str, period: str, output: Any, units: Any = "parcels", against: str = ""
    ) -> ToolResult:
        folder = self.services.workspace.root.parent
        while not (folder / "go").exists():
            if self.context.cancelled():
                (folder / "stopped").touch()
            self.context.stop_if_asked()
            time.sleep(0.02)
        return super().compute(index, place, period, output, units, against)


def main() -> None:
    settings = Settings(data_dir=Path(sys.argv[1]), embedding_model="none", port=0)
    assistant = Assistant(settings, services=small_assistant(settings).services(), toolbox=WaitingToolbox)
    with served(assistant) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
