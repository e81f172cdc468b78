"""A day's traffic in minutes: people at all doors of one server, and whether its memory goes on growing.

`python -m evals.bench.soak --minutes 10` starts a server of its own on loopback, in the data folder of the settings.
Each person asks, reads the conversation and the catalogue, is told an error, and forgets the conversation at times.
Memory is looked at each second; what counts is the last quarter against the second one, when all is loaded.
"""

import argparse
import asyncio
import itertools
import os
import statistics
from time import monotonic

import httpx

from evals.bench.load import QUESTIONS, ask, memory_mb, start

MOST_GROWTH = 1.05
"""Memory of the last quarter over that of the second: above it something is kept that should not be."""
ACCEPT = {"Accept": "application/json, text/event-stream"}
COMPUTE = "Compute the mean NDVI of Rennes for summer {}."


async def person(client: httpx.AsyncClient, numbers: "itertools.count[int]", until: float) -> list[int]:
    """Use all doors in turn until the time is over; gives the statuses of the replies, 599 for none."""
    told: list[int] = []
    while monotonic() < until:
        number = next(numbers)
        question = QUESTIONS[number % len(QUESTIONS)]
        try:
            if number % 10 == 9:
                question = COMPUTE.format(2025 + number % 2)
            if number % 3 == 0:
                _, kind, session = await ask(client, number)
                told.append(200 if kind == "answer" else 599)
                told.append((await client.get(f"/api/sessions/{session}")).status_code)
                if number % 2:
                    told.append((await client.delete(f"/api/sessions/{session}")).status_code)
            elif number % 3 == 1:
                body = {"messages": [{"role": "user", "content": question}], "stream": number % 2 == 0}
                told.append((await client.post("/v1/chat/completions", json=body)).status_code)
            else:
                told.append(await _over_mcp(client, question))
            for path in ("/api/products", "/", "/api/jobs", "/metrics", "/healthz"):
                told.append((await client.get(path)).status_code)
            if (await client.get("/artifacts/none")).status_code != 404:
                told.append(599)
        except httpx.HTTPError:
            told.append(599)
    return told


async def _over_mcp(client: httpx.AsyncClient, question: str) -> int:
    """Open a session of MCP, ask in it and end it."""
    hello = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
    begun = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    opened = await client.post("/mcp", headers=ACCEPT, json=begun)
    session = {"Mcp-Session-Id": opened.headers.get("mcp-session-id", "")}
    params = {"name": "ask", "arguments": {"question": question}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    reply = await client.post("/mcp", headers={**ACCEPT, **session}, json=call)
    await client.delete("/mcp", headers={**ACCEPT, **session})
    return reply.status_code


async def soak(url: str, pid: int, people: int, seconds: float) -> tuple[list[int], list[float], list[int]]:
    """Give the statuses of all replies, and the memory (MB) and the open files of the server, second by second."""
    until, numbers = monotonic() + seconds, itertools.count()
    memory: list[float] = []
    files: list[int] = []
    async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False) as client:
        tasks = [asyncio.create_task(person(client, numbers, until)) for _ in range(people)]
        while monotonic() < until:
            memory.append(memory_mb(pid))
            files.append(len(os.listdir(f"/proc/{pid}/fd")))
            await asyncio.sleep(1)
        told = [one for each in await asyncio.gather(*tasks) for one in each]
    return told, memory, files


def main() -> None:
    """Run and print; ends with 1 where memory has grown or a reply was none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--people", type=int, default=8)
    asked = parser.parse_args()
    run, url = start()
    try:
        told, memory, files = asyncio.run(soak(url, run.pid, asked.people, 60 * asked.minutes))
    finally:
        run.terminate()
        run.wait()
    quarter = len(memory) // 4
    second, last = (statistics.median(part) for part in (memory[quarter : 2 * quarter], memory[-quarter:]))
    failed = sum(one >= 500 for one in told)
    growth = last / second
    print(f"{len(told)} replies, {failed} failed; memory {second:.0f} MB, then {last:.0f} MB: {growth:.3f} times")
    print(f"open files: {max(files[quarter : 2 * quarter])}, then {max(files[-quarter:])}")
    if failed or growth > MOST_GROWTH:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
