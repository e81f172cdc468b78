"""Put results next to each other in the tools' own numbers, and find the two products a question sets side by side."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from dateutil.relativedelta import relativedelta

from assistant import abilities, lexicon
from assistant.abilities import index_title
from assistant.spans import find_places
from tools.schema import Plan, StatisticsRow, ToolResult
from tools.words import counted
from tools.zonal import curve, summary

NO_DIFFERENCE = (
    "The difference itself was not computed: that is done for two periods of one place. "
    "Each value rests on the valid pixels of its own period and place."
)
NOTHING_TO_COMPARE = "Not all sides of the comparison have a result, so nothing is compared."
YEARLY = ("phenology", "anomaly")
"""Outputs whose rows are no values to set side by side."""
MAX_SHIFTS = 12
MAX_CURVES = 3
"""Curves told of one result."""
LONGEST_NAME = (6, 5, 4, 3, 2, 1)
"""Lengths of a product's name that are looked for, in words, the longest first."""


def side_by_side(results: Sequence[ToolResult], asked: int) -> str:
    """Give one line a result for each output computed more than once; `asked` is how many results were wanted."""
    computed = [
        (result.plan, result.statistics.rows)
        for result in results
        if result.plan and result.statistics and not result.plan.layer and result.plan.output not in YEARLY
    ]
    lines = []
    for output in dict.fromkeys(plan.output for plan, _ in computed):
        same = [(plan, rows) for plan, rows in computed if plan.output == output]
        lines += [f"- {_what(plan)}: {_value(plan, rows)}" for plan, rows in same if len(same) > 1]
    if not lines:
        return NOTHING_TO_COMPARE if len(computed) < asked else ""
    return "\n".join(["**Side by side**", *lines, "", NO_DIFFERENCE])


def _what(plan: Plan) -> str:
    start, end = plan.period.start, plan.period.end
    return f"{plan.place.name}, {start}" if start == end else f"{plan.place.name}, {start} to {end}"


def _value(plan: Plan, rows: Sequence[StatisticsRow]) -> str:
    if not any(row.value is not None for row in rows):
        return rows[0].outcome.replace("_", " ") if rows else "no data"
    name = index_title(plan.recipe_id)
    if plan.output == "series":
        labels = list(dict.fromkeys(row.label for row in rows))[:MAX_CURVES]
        return "; ".join(_curve(name, label, [row for row in rows if row.label == label]) for label in labels)
    if len(rows) == 1:
        row = rows[0]
        return f"mean {name} {row.value:.3f} ({row.valid_pixels} of {counted(row.total_pixels, 'pixel')} valid)"
    found = summary(rows)
    polygons = f"{found['polygons_ok']} of {counted(found['polygons'], 'polygon')} with data, each counted once"
    return f"mean {name} {found['mean_of_means']:.3f} ({polygons})"


def _curve(name: str, label: str, rows: Sequence[StatisticsRow]) -> str:
    found = curve(rows)
    if not found["dates_ok"]:
        return f"{label} has no data"
    peak, low = found["peak"], found["lowest"]
    if found["dates_ok"] == 1:
        return f"{name} of {label} is {peak['value']:.3f} on {peak['date']}, the only date with data"
    return (
        f"{name} of {label} peaks at {peak['value']:.3f} on {peak['date']}, "
        f"is lowest at {low['value']:.3f} on {low['date']}"
    )


def compared_products(question: str) -> tuple[str, str] | None:
    """Give the names of the two products that a question sets against each other; None when it compares else.

    Everyday words such as "forest" name a product only where no place is named: there they are land to be compared.
    """
    words = list(re.finditer(r"[\w+'’-]+", question))
    asks = lexicon.has(question, "compare", "difference")
    for at, match in enumerate(words):
        weighs = lexicon.has_only(match[0], "alternative")
        if not (weighs or (asks and lexicon.has_only(match[0], "joiner", "with", "compare"))):
            continue
        proper = not weighs and bool(find_places(question, any_name=False))
        left = _product_in([words[max(0, at - size) : at] for size in LONGEST_NAME], question, proper=proper)
        right = _product_in(_after(words, at + 1), question, proper=proper)
        # Two everyday words beside "or" are two things; with one name of a product, two products are weighed.
        sure = not weighs or abilities.is_proper_name(left) or abilities.is_proper_name(right)
        if left and right and sure and abilities.product_id(left) != abilities.product_id(right):
            return left, right
    return None


def _after(words: Sequence["re.Match[str]"], start: int) -> list[Sequence["re.Match[str]"]]:
    """Give the words that follow, the longest run first, without an article in front."""
    if start < len(words) and lexicon.has_only(words[start][0], "article"):
        start += 1
    return [words[start : start + size] for size in LONGEST_NAME]


def _product_in(runs: Sequence[Sequence["re.Match[str]"]], question: str, *, proper: bool) -> str:
    """Give the first run of words that is the name of a product; empty when none is."""
    for run in runs:
        name = question[run[0].start() : run[-1].end()] if run else ""
        if name and abilities.product_id(name) and (not proper or abilities.is_proper_name(name)):
            return name
    if proper:
        return ""
    spoken = [question[run[0].start() : run[-1].end()] for run in runs if len(run) > 1]
    inside = (word for words in spoken for word in words.split() if abilities.is_proper_name(word))
    named = next((word for word in inside if abilities.is_product(word)), "")
    return named or next((title for words in spoken if (title := abilities.foreign_product(words))), "")


def season_shifts(results: Sequence[ToolResult]) -> str:
    """Tell for two results of season dates whether each season comes earlier or later in the later period's year."""
    dated = [(result.plan, result.data.get("seasons") or ()) for result in results if result.plan]
    pair = sorted(((plan, _only_seasons(rows)) for plan, rows in dated if rows), key=lambda one: one[0].period.start)
    if len(pair) != 2 or pair[0][0].place != pair[1][0].place:
        return ""
    (earlier, before), (later, after) = pair
    years = later.period.start.year - earlier.period.start.year
    lines = []
    for label in before.keys() & after.keys():
        told = [_shift(name, before[label][name], after[label][name], years) for name in ("start", "peak", "end")]
        if any(told):
            lines.append(f"- {label}: {', '.join(one for one in told if one)}")
    head = f"**{later.period.start.year} against {earlier.period.start.year}, by the calendar**"
    return "\n".join([head, *sorted(lines)[:MAX_SHIFTS]]) if lines else ""


def _only_seasons(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give the season of each unit that has one; which of several to compare would be a guess."""
    labels = [row["label"] for row in rows]
    return {row["label"]: row for row in rows if labels.count(row["label"]) == 1}


def _shift(name: str, before: str | None, after: str | None, years: int) -> str:
    if not (before and after):
        return ""
    days = (date.fromisoformat(after) - (date.fromisoformat(before) + relativedelta(years=years))).days
    how = "on the same day" if days == 0 else "later" if days > 0 else "earlier"
    return f"{name} {how} ({after} against {before})"
