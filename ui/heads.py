"""Ends connections whose request never begins: uvicorn waits for the head of a request for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20
"""A head that takes longer to come in ends its connection; that of a body is held by the gate."""


class TimedHeads(H11Protocol):
    """HTTP by h11, which bounds the size of a head, within its time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self._await_head(None)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        done = self.cycle
        super().on_response_complete()
        self._await_head(done)

    def _await_head(self, done: Any) -> None:
        self.loop.call_later(HEAD_S, self._end_unless_begun, done)

    def _end_unless_begun(self, done: Any) -> None:
        if self.cycle is done and not self.transport.is_closing():
            self.transport.close()
