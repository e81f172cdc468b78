"""Many chats at once against a server of this machine: errors, seconds, memory, and what a killed server has lost.

`python -m evals.bench.load --chats 100` starts a server of its own on loopback, in the data folder of the settings.
Each of the first 200 chats asks something else, 25 subjects in 8 wordings: what is computed is told by other benches.
Processor time and memory are those of the server with all the processes that it starts.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

WORDS = (
    "Which product shows {} in {}?",
    "Where can I see how much {} there was in {} since 2018?",
    "Is there a map of {} for {} at 10 m?",
    "I need data on {} of last winter in {}.",
    "Welche Daten zeigen {} in {}?",
    "Quel produit donne {} en {} ?",
    "How did {} change in {} between 2012 and 2018?",
    "I need {} every ten days for {}, which product is it?",
)
SUBJECTS = """
    tree cover, sealed soil, crops, snow, water bodies, soil moisture, land cover, NDVI, burnt area, grassland,
    wetlands, ground motion, leaf area, lake temperature, river ice, built-up area, urban green, small woody features,
    phenology, evapotranspiration, coastal erosion, population, forest type, soil water, vegetation productivity
"""
PLACES = """
    Estonia Lyon Bavaria Andalusia Sicily Normandy Crete Lapland Vienna Lisbon
    Poland Galicia Tyrol Hungary Flanders Zealand Corsica Moravia Dublin Bulgaria
"""


def made(words: Sequence[str], subjects: Sequence[str], places: Sequence[str]) -> tuple[str, ...]:
    """Put subjects and places into wordings: as many questions as there are pairs of wording and subject."""
    count = len(words) * len(subjects)
    return tuple(
        words[at % len(words)].format(subjects[at % len(subjects)], places[at % len(places)]) for at in range(count)
    )


QUESTIONS = made(WORDS, [one.strip() for one in SUBJECTS.split(",")], PLACES.split())


AT_REST_S = 0.2
"""A server that works less than this in a second has loaded all it needs."""


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


async def burst(url: str, chats: int, first: int = 0) -> list[tuple[float, str, str]]:
    """Ask all at once, from one of the questions on."""
    limits = httpx.Limits(max_connections=chats)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits, trust_env=False) as client:
        return await asyncio.gather(*(ask(client, first + number) for number in range(chats)))


def start() -> tuple[subprocess.Popen[str], str]:
    """Start a server and give its address, once the first question is answered and it rests."""
    command = [sys.executable, "-m", "ui.cli", "serve", "--port", "0"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = re.findall(r"http://\S+", run.stdout.readline() if run.stdout else "")[0]
    for _ in range(300):
        try:
            httpx.get(f"{url}/healthz", trust_env=False)
            break
        except httpx.ConnectError:
            time.sleep(0.2)
    asyncio.run(burst(url, 2, len(QUESTIONS) - 2))
    worked = 0.0
    while (now := processor_s(run.pid)) - worked > AT_REST_S:  # other processes of it still load
        worked = now
        time.sleep(1)
    return run, url


def family(pid: int) -> list[int]:
    """Give a process and those that it started."""
    begun = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(one for file in begun for child in file.read_text().split() for one in family(int(child)))]


def processor_s(pid: int) -> float:
    """Give the seconds that processors have worked for a process and those that it started."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in family(pid)]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Give the memory that a process and those that it started hold."""
    told = [Path(f"/proc/{one}/status").read_text() for one in family(pid)]
    return sum(int(re.findall(r"VmRSS:\s+(\d+)", one)[0]) for one in told) / 1000


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
            results = asyncio.run(burst(url, asked.chats, number * asked.chats))
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
