"""Many chats at once against a server of this machine: errors, seconds, memory, and what a killed server has lost.

`python -m evals.bench.load --chats 100` starts a server of its own on loopback, in the data folder of the settings.
Each of the first 160 chats asks something else, all of products and places: what is computed is told by other benches.
The processor's seconds a question are told too: they stay the same however busy the machine is otherwise.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx

WORDS = (
    "Which product shows tree cover in {}?",
    "Where can I see how much soil was sealed in {} since 2018?",
    "Is there a map of crops for {} at 10 m?",
    "Which product shows the snow of last winter in {}?",
    "Welche Daten zeigen Wasserflächen in {}?",
    "Quel produit donne l'humidité du sol en {} ?",
    "How did land cover change in {} between 2012 and 2018?",
    "I need ten-day NDVI of {}, which product is it?",
)
PLACES = """
    Estonia Lyon Bavaria Andalusia Sicily Normandy Crete Lapland Vienna Lisbon
    Poland Galicia Tyrol Hungary Flanders Zealand Corsica Moravia Dublin Bulgaria
"""
QUESTIONS = tuple(words.format(place) for place in PLACES.split() for words in WORDS)


async def ask(client: httpx.AsyncClient, number: int) -> tuple[float, str, str]:
    """Give seconds, the type of the last event and the conversation of one chat."""
    started, last = time.perf_counter(), ""
    try:
        async with client.stream("POST", "/api/chat", json={"question": QUESTIONS[number % len(QUESTIONS)]}) as reply:
            async for line in reply.aiter_lines():
                last = line if line.startswith("data: ") else last
    except httpx.HTTPError as error:
        return time.perf_counter() - started, type(error).__name__, ""
    kind, session = re.search(r'"type": "(\w+)"', last), re.search(r'"session_id": "([\w-]+)"', last)
    return time.perf_counter() - started, kind[1] if kind else "nothing", session[1] if session else ""


async def burst(url: str, chats: int) -> list[tuple[float, str, str]]:
    """Ask all at once."""
    limits = httpx.Limits(max_connections=chats)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits, trust_env=False) as client:
        return await asyncio.gather(*(ask(client, number) for number in range(chats)))


def start() -> tuple[subprocess.Popen[str], str]:
    """Start a server and give its address, once the first question is answered."""
    command = [sys.executable, "-m", "ui.cli", "serve", "--port", "0"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = re.findall(r"http://\S+", run.stdout.readline() if run.stdout else "")[0]
    for _ in range(300):
        try:
            httpx.get(f"{url}/healthz", trust_env=False)
            break
        except httpx.ConnectError:
            time.sleep(0.2)
    asyncio.run(burst(url, 2))
    return run, url


def processor_s(pid: int) -> float:
    """Give the seconds that processors have worked for a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Give the memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1000


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    run, url = start()
    kept: list[str] = []
    try:
        for number in range(asked.rounds):
            before = processor_s(run.pid)
            results = asyncio.run(burst(url, asked.chats))
            seconds = sorted(one[0] for one in results)
            kept += [session for _, kind, session in results if kind == "answer"]
            errors = sum(kind != "answer" for _, kind, _ in results)
            p95 = seconds[int(0.95 * (len(seconds) - 1))]
            print(
                f"round {number + 1}: {errors} errors, median {statistics.median(seconds):.2f} s, p95 {p95:.2f} s, "
                f"{len(seconds) / seconds[-1]:.1f} a second, {memory_mb(run.pid):.0f} MB, "
                f"{1000 * (processor_s(run.pid) - before) / len(seconds):.0f} ms of processor a question"
            )
    finally:
        run.kill()  # as an accident would, with no word beforehand
        run.wait()
    again, url = start()
    try:
        lost = sum(not httpx.get(f"{url}/api/sessions/{one}", trust_env=False).json()["turns"] for one in kept)
        print(f"after kill -9: {lost} of {len(kept)} told answers lost")
    finally:
        again.terminate()
        again.wait()


if __name__ == "__main__":
    main()
