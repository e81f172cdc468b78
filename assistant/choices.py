"""Read which of the options that were asked back is meant: "the second one", "the Argentinian one"."""

import re
from collections.abc import Sequence

from assistant import lexicon
from assistant.sentences import ordinal_at, word_pattern
from knowledge.lexicon import is_function_word, language_of

MAX_WORDS = 6
"""A longer reply is a question of its own."""
SHORTEST_STEM = 3
"""So many letters an adjective shares with its country: Spanish, Spain."""


def chosen(words: str, options: Sequence[str]) -> str:
    """Give the one option that a reply means; empty when it means none, or more than one."""
    text = lexicon.fold(words).strip(" .!?")
    if not options or len(text.split()) > MAX_WORDS:
        return ""
    if place := _rank(text, len(options)):
        return options[place - 1] if place <= len(options) else ""
    language = language_of(words)
    said = [word for word in re.findall(r"[^\W\d_]{4,}", text) if not is_function_word(word, language)]
    said = [word for word in said if not word_pattern("one").fullmatch(word)]
    fitting = [option for option in options if said and all(_means(word, option) for word in said)]
    return fitting[0] if len(fitting) == 1 else ""


def offered(text: str) -> tuple[str, ...]:
    """Give the options that an answer begins with, where the client keeps the conversation."""
    head, *rest = text.strip().partition("\n\n")[0].splitlines() or [""]
    listed = rest and not head.startswith("**") and all(line.startswith("- ") for line in rest)
    return tuple(line[2:].strip() for line in rest) if listed else ()


def rank_in(question: str) -> int:
    """Give the place in a list that a question names: 2 for "tell me about the second one"; 0 for none."""
    text = lexicon.fold(question).strip(" .!?")
    if rank := _rank(text, 0):
        return rank
    article, one = lexicon.alternatives("article"), word_pattern("one").pattern
    named = re.search(rf"(?<!\w)(?:{article})\s+(\w+)(?:\s+{one}|$)", text)
    return _rank(named[1], 0) if named else 0


def _rank(text: str, count: int) -> int:
    """Give the place in the list that a reply is nothing but: 2 for "the second one"; 0 for none."""
    bare = " ".join(word for word in text.split() if not lexicon.has_only(word, "article"))
    bare = re.sub(rf"\s+{word_pattern('one').pattern}$", "", bare)
    if re.fullmatch(r"(?:number |nr\.? |no\.? )?\d{1,2}", bare):
        return int(re.findall(r"\d+", bare)[0])
    if word_pattern("first").fullmatch(bare):
        return 1
    return count if word_pattern("last").fullmatch(bare) else ordinal_at(bare)


def _means(word: str, option: str) -> bool:
    """Tell whether a word is one of an option, or an adjective of it."""
    return any(_alike(word, other) for other in re.findall(r"[^\W\d_]+", lexicon.fold(option)))


def _alike(word: str, name: str) -> bool:
    shared = next((at for at, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), min(len(word), len(name)))
    return shared >= max(SHORTEST_STEM, len(name) - 2)
