"""Check what is said to be the highest or the lowest: the entries named, and the values told."""

import re
from collections.abc import Sequence
from typing import Literal

from assistant.readings import Mention, Reading, Statement
from assistant.sentences import Figure, ordinal_before, thing_words, word_pattern
from assistant.tables import DECIMALS, Entry

Token = Mention | Figure
Side = Literal["before", "after"]


def extremes(reading: Reading) -> list[Statement]:
    """Check ranks: names and values may both stand before or after the words for highest and lowest."""
    words = sorted((*((*one, 1) for one in reading.free("highest")), *((*one, -1) for one in reading.free("lowest"))))
    if not words or not _is_about(reading):
        return []
    groups = _groups(reading)
    verdicts = []
    for kind in (Mention, Figure):
        found = [_aligned(reading, words, groups, kind, side) for side in ("before", "after")]
        if any(one is not None for one in found):
            verdicts.append(True in found)
    words_told = reading.original(0, len(reading.text))
    counts = {len(reading.mentions_of(one)) for one in range(len(reading.table.names))}
    proven = tuple(one.start for one in reading.sentence.figures if not one.decimal and counts & set(one.values))
    return [Statement("rank", all(verdicts), words_told, proven)] if verdicts else []


def _is_about(reading: Reading) -> bool:
    return len(reading.table.entries) > 1


def _aligned(
    reading: Reading, words: Sequence[tuple[int, int, int]], groups: Sequence[Sequence[Token]], kind: type, side: Side
) -> bool | None:
    """Tell whether all ranks hold, when what is ranked stands on one side of the words; None: nothing stands there."""
    verdicts: list[bool | None] = []
    for place, (start, end, sign) in enumerate(words):
        stop = words[place + 1][0] if place + 1 < len(words) else len(reading.text)
        begin = words[place - 1][1] if place else 0
        low, high = (begin, start) if side == "before" else (end, stop)
        own = [[one for one in group if isinstance(one, kind) and low <= one.start < high] for group in groups]
        near = [group for group in own if group]
        if not near:
            verdicts.append(None)
            continue
        tokens = near[-1] if side == "before" else near[0]
        nearest = tokens[-1] if side == "before" else tokens[0]
        if isinstance(nearest, Mention):  # "in East, beech is the smallest": beech is ranked, in East
            tokens = [one for one in tokens if isinstance(one, Mention) and one.dimension == nearest.dimension]
        verdicts.append(_holds(reading, tokens, sign, nth=ordinal_before(reading.text, start)))
    known = [one for one in verdicts if one is not None]
    if not known:
        return None
    return all(known) and len(known) == len(verdicts)


def _holds(reading: Reading, tokens: Sequence[Token], sign: int, *, nth: int) -> bool | None:
    names = [one for one in tokens if isinstance(one, Mention)]
    figures = [one for one in tokens if isinstance(one, Figure)]
    dimension = names[0].dimension if names else None
    pool = _pool(reading, dimension)
    if not pool:
        return None
    ranked = sorted(pool, key=lambda entry: -sign * entry.value)
    keys = {key for one in names for key in one.keys} if dimension is not None else set()
    if dimension is not None:
        named = [entry for entry in ranked if entry.keys[dimension] in keys]
        if not named:
            return False
        worst = min(sign * entry.value for entry in named)
        count = nth or len(names)
        limit = sign * ranked[min(count, len(ranked)) - 1].value
        return round(worst, DECIMALS) >= round(limit, DECIMALS) and (not nth or worst <= limit + 0.5 * 10**-DECIMALS)
    top = ranked[: max(nth, len(figures))]
    return all(any(figure.near(entry.value) for entry in top[nth - 1 if nth else 0 :]) for figure in figures)


def _pool(reading: Reading, dimension: int | None) -> list[Entry]:
    """Give the entries among which one is ranked: all, or those of the one name told in another dimension."""
    keys = []
    for other in range(len(reading.table.names)):
        context = [] if other == dimension else reading.mentions_of(other)
        single = len(reading.table.names[other]) == 1 or other == dimension
        if other != dimension and not single and dimension is not None and len(context) != 1:
            return []
        few = len(context) == 1 and (dimension is not None or len(reading.table.names) > 1)
        few = few and not (dimension is None and other == reading.table.dated)
        keys.append(context[0].keys if few else frozenset[str]())
    return reading.table.where(keys)


def _groups(reading: Reading) -> list[list[Token]]:
    """Gather names and values that stand in one list."""
    tokens: list[Token] = sorted((*reading.mentions, *reading.values), key=lambda one: one.start)
    groups: list[list[Token]] = []
    for token in tokens:
        between = reading.text[groups[-1][-1].end : token.start] if groups else "."
        if groups and not re.search(r"[^\W\d_]", _without_joiners(between)):
            groups[-1].append(token)
        else:
            groups.append([token])
    return groups


def _without_joiners(text: str) -> str:
    return re.sub(rf"(?<!\w){thing_words()}", " ", word_pattern("and").sub(" ", text))
