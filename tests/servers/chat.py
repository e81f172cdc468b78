"""A chat provider on loopback that says what the test tells it to: the OpenAI dialect over real HTTP."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatScript:
    """What the provider says, reply by reply, and what it was asked; the last reply repeats."""

    replies: Sequence[dict[str, Any]]
    status: int = 200
    wait_s: float = 0.0
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def next_reply(self) -> dict[str, Any]:
        return self.replies[min(len(self.requests), len(self.replies)) - 1]


def says(text: str) -> dict[str, Any]:
    """A reply that is text."""
    return {"role": "assistant", "content": text}


def calls(*wanted: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A reply that is tool calls."""
    made = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for number, (name, args) in enumerate(wanted)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def garbles(name: str, arguments: str) -> dict[str, Any]:
    """A reply that is a tool call whose arguments are this text, JSON or not."""
    made = {"id": "call_0", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [made]}


def breaks(*, status: int = 200, body: str = "", cut: bool = False) -> dict[str, Any]:
    """A reply that is no completion: another status, any body, or a connection that ends within it."""
    return {"broken": True, "status": status, "body": body, "cut": cut}


@contextmanager
def chat_server(*replies: dict[str, Any], status: int = 200, wait_s: float = 0.0) -> Iterator[ChatScript]:
    """Serve the replies in order."""
    script, closing = ChatScript(replies, status, wait_s), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # as real servers, which keep connections open

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            script.requests.append(json.loads(body))
            if script.wait_s and not closing.wait(script.wait_s):
                return
            reply = script.next_reply()
            if reply.get("broken"):
                self._send(reply["body"], reply["status"], lacking=100 if reply["cut"] else 0)
            elif script.status == 200:
                self._send(json.dumps(_completion(reply)), 200)
            else:
                self._send(json.dumps({"error": {"message": "broken"}}), script.status)

        def _send(self, body: str, status: int, lacking: int = 0) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data) + lacking))
            self.end_headers()
            self.wfile.write(data)
            # A line that is cut is closed; left open, the client would wait for its time-out.
            self.close_connection = self.close_connection or lacking > 0

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    script.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield script
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _completion(reply: dict[str, Any]) -> dict[str, Any]:
    message = {name: value for name, value in reply.items() if name != "finish_reason"}
    ended = reply.get("finish_reason") or ("tool_calls" if "tool_calls" in reply else "stop")
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stand-in",
        "choices": [{"index": 0, "message": message, "finish_reason": ended}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
