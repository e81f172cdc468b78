"""The check before anything is shown: what an answer claims must be in a tool result or in the conversation."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from assistant.claims import Claims, Day, Number, Reading, is_month, read_claims, remove_links, without_list_marks
from assistant.lexicon import fold
from assistant.naming import repeats, unknown_names
from assistant.relations import Judged, judge
from assistant.sentences import unit_after, word_pattern
from assistant.tables import Table, kept_tables, name_patterns, tables_of
from knowledge.lexicon import language_of
from tools.schema import Statistics, StatisticsRow, ToolResult
from tools.telling import ROWS_IN_TEXT
from tools.zonal import curve, summary

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-Þ*\"“«„¿¡])")
_OF = re.compile(r"\b(\d+) (?:of|out of|von|sur|de|su) (\d+)\b|\b(\d+)/(\d+)\b")
NO_YEAR = 0
"""Year of a date that was told without one: it supports the same day without a year, and no other."""
NO_UNIT = "none"
BOUND_BEFORE = 30
"""So many letters before a number the word may stand that makes it a bound."""
_NUMBERED = re.compile(r"\D*\w*\d+|\d+\D*")
"""A label such as `Parcel 12` or `R07`."""
RowKey = str | tuple[int, int, int]
"""Label of a row, in lower case, or its year, month and day where a table has several dates."""
_NOT_EVIDENCE = {"geometry", "collection", "coordinates", "size_bytes"}
_ONLY_NAMES = {"fingerprint", "plan_fingerprint", "sha256", "path", "id"}


@dataclass
class Evidence:
    """All numbers, dates, links and names a conversation holds."""

    numbers: set[float] = field(default_factory=set)
    shares: set[float] = field(default_factory=set)
    """Numbers that may be written as a percentage: percentages, and shares times 100; an NDVI of 0.6 is neither."""
    rows: "dict[RowKey, Evidence]" = field(default_factory=dict)
    """What single rows of a long table hold: it counts only where the row's label or date is named with it."""
    dates: set[tuple[int, int, int]] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    """Words with both letters and digits, in lower case: their digits are no claim."""
    sizes: dict[str, set[float]] = field(default_factory=dict)
    """Numbers by the unit that was told with them; what was told without one stands under the empty name."""
    texts: list[str] = field(default_factory=list)
    """What tools and users said, folded: where names and quotations may come from."""
    said: set[str] = field(default_factory=set)
    """The same, sentence by sentence as written."""
    asked: "Evidence | None" = None
    """What the user said, where that is less than what tools say."""
    private: str = ""
    """What a language model was told and no user should read."""
    strict: bool = True
    """Check also what numbers are said of, their units, and names: what code wrote need not be."""
    tables: list[Table] = field(default_factory=list)
    """Tables on which statements of a language model are checked."""
    _labels: set[str] = field(default_factory=set)
    """Names that users or files gave: they may say anything, and what they say is no fact."""
    _joined: tuple[int, str] = (0, "")
    _read: set[str] = field(default_factory=set)

    def add_text(self, text: str) -> None:
        """Take over the numbers, dates, links and names of a text that is itself true: a question, a tool's words."""
        if text in self._read:
            return
        self._read.add(text)
        language = language_of(text)
        for sentence in (one for _, rest in without_list_marks(text) for one in _sentences(rest)):
            self.said.add(sentence)
            bare = sentence
            for label in self._labels:
                bare = bare.replace(label, " ")
            self._add_sentence(bare, language)

    def _add_sentence(self, text: str, language: str) -> None:
        claims = read_claims(text, language=language)
        plain = fold(claims.text)
        self.texts.append(fold(text))
        self.add_names(*claims.names)
        self.links.update(claims.links)
        for day in claims.days:
            for year, month, number in day.readings:
                self._add_date(year, month, number)
        for claim in claims.numbers:
            for reading in (one for readings in claim.readings for one in readings):
                if claim.percent or claim.share:
                    self.shares.add(reading.value * (100 if claim.share else 1))
                else:
                    self.add_number(reading.value, unit_after(plain, claim.end))
        for pair in _OF.findall(text):
            part, whole = (float(one) for one in pair if one)
            if 0 < part <= whole:
                self.shares.add(100 * part / whole)

    def _set_labels_apart(self, labels: Iterable[str]) -> None:
        """Keep labels as names; a number in them that is not just their first or last word is no evidence."""
        for label in labels:
            self.add_names(*read_claims(label, language="en").names)
            if re.search(r"\d", label) and not _NUMBERED.fullmatch(label):
                self._labels.add(label)
                self.texts.append(fold(label))

    def add_number(self, value: float, unit: str = "") -> None:
        """Take over one number, with its unit where that is known."""
        if math.isfinite(value):
            self.numbers.add(float(value))
            self.sizes.setdefault(unit, set()).add(float(value))

    def add_names(self, *names: str) -> None:
        """Take over names, whole and in their parts."""
        for name in names:
            self.names.update((name.lower(), *re.split(r"[:/+#@]", name.lower())))

    def add_result(self, result: ToolResult) -> None:
        """Take over a tool result, with what its rows say together."""
        self.tables += tables_of([result])
        own = {row.label for row in (result.statistics.rows if result.statistics else ())}
        self._set_labels_apart(own - {result.plan.place.name if result.plan else ""})
        self.__dict__.pop("_row_names", None)
        rows = result.statistics.rows if result.statistics else ()
        many = len(rows) > ROWS_IN_TEXT
        self._add_tree(result.model_dump(mode="json", exclude={"statistics": {"rows"}} if many else None))
        if result.plan:
            self.add_names(result.plan.fingerprint)
        if result.statistics:
            for row in rows:
                one = self.rows.setdefault(_row_key(row, rows), Evidence()) if many else self
                one._add_tree(row.model_dump(mode="json"))
                one.shares.add(row.valid_share * 100)
            together = summary(rows)
            self._add_tree(together)
            for name in ("polygons_ok", "polygons_no_data", "polygons_not_covered"):
                self.shares.add(100 * together[name] / max(1, together["polygons"]))
            labels = {row.label for row in rows}
            for label in labels:
                one = self.rows.setdefault(fold(label), Evidence()) if len(labels) > ROWS_IN_TEXT else self
                one._add_tree(curve([row for row in rows if row.label == label]))
            for one in self.rows.values():
                self.dates |= one.dates
                self.names |= one.names
            self.add_number(len(rows))

    @property
    def known_text(self) -> str:
        """Give all that tools and users said, folded."""
        if self._joined[0] != len(self.texts):
            self._joined = (len(self.texts), "\n".join(self.texts))
        return self._joined[1]

    def with_rows(self, line: str, days: Sequence[Day]) -> "list[Evidence]":
        """Give what may support a line: the evidence, and the single rows whose label or date the line names."""
        spoken = fold(line)
        names = self._row_names
        told = {reading for day in days for reading in day.readings}
        named = (
            row
            for key, row in self.rows.items()
            if (names[key].search(spoken) if isinstance(key, str) else key in told or (None, *key[1:]) in told)
        )
        return [self, *(source for row in named for source in row.with_rows(line, days))]

    @cached_property
    def _row_names(self) -> dict[str, "re.Pattern[str]"]:
        return name_patterns([key for key in self.rows if isinstance(key, str)])

    def _add_tree(self, node: Any, key: str = "") -> None:
        if key in _NOT_EVIDENCE:
            return
        if isinstance(node, dict):
            for name, value in node.items():
                self._add_tree(value, str(name))
        elif isinstance(node, list | tuple):
            long = len(node) > ROWS_IN_TEXT and all(isinstance(one, dict) and "label" in one for one in node)
            for value in node:
                # Of many rows, some row is near any number: each speaks for itself alone.
                one = self.rows.setdefault(fold(str(value["label"])), Evidence()) if long else self
                one._add_tree(value, key)
        elif isinstance(node, str):
            if key in _ONLY_NAMES:
                self.add_names(*read_claims(node, language="en").names)
            else:
                self.add_text(node)
        elif isinstance(node, int | float) and not isinstance(node, bool):
            if key.endswith("percent"):
                self.shares.add(float(node))
            elif key.endswith("share"):
                self.shares.add(float(node) * 100)
            else:
                self.add_number(node, _unit_of(key))

    def _add_date(self, year: int | None, month: int, day: int) -> None:
        self.dates.add((year or NO_YEAR, month, day))
        if year is not None:
            self.numbers.add(float(year))


@dataclass(frozen=True)
class Check:
    """What the check of one text found."""

    text: str
    invented: tuple[str, ...]
    """Numbers, dates and links, as written, that nothing supports."""


def _unit_of(key: str) -> str:
    """Give the unit that a name ends in: `area_ha`, `valid_pixels`."""
    last = key.rpartition("_")[2]
    return unit_after(f" {last}", 0)


def _row_key(row: StatisticsRow, rows: Iterable[StatisticsRow]) -> RowKey:
    """Tell by what a text names a row: its date when rows differ in it, else its label."""
    if row.date is None or len({one.date for one in rows}) == 1:
        return fold(row.label)
    year, month, day = (int(part) for part in row.date[:10].split("-"))
    return year, month, day


def gather(
    results: Iterable[ToolResult],
    texts: Iterable[str],
    *,
    earlier: Iterable[Statistics] = (),
    asked: Iterable[str] = (),
    strict: bool = True,
    private: str = "",
) -> Evidence:
    """Collect the evidence of a conversation.

    Args:
        results: What the tools gave.
        texts: Questions and checked answers.
        asked: What the user said: years, counts and bounds may be repeated from it, values may not.
        earlier: Tables of earlier answers.
        strict: Whether a language model wrote the text to be checked; what code wrote needs only its numbers checked.
        private: Instructions to that model, which no user should read.
    """
    evidence = Evidence(strict=strict, private=private, tables=list(kept_tables(earlier)))
    for result in results:
        evidence.add_result(result)
    for text in texts:
        evidence.add_text(text)
    said = Evidence() if strict else evidence
    for text in asked:
        said.add_text(text)
    if strict:
        evidence.asked = said
        evidence.dates |= said.dates
        evidence.texts += said.texts
    return evidence


def find_invented(text: str, evidence: Evidence) -> tuple[str, ...]:
    """Find the numbers, percentages, years, dates and links of a text that no evidence supports."""
    language = language_of(text)
    found = [
        _invented(sentence, rest, evidence, language)
        for _, rest in without_list_marks(text)
        for sentence in _sentences(rest)
        if evidence.strict or sentence not in evidence.said  # code repeats what a tool has said
    ]
    return tuple(dict.fromkeys(words for one in found for words in one))


def strip_invented(text: str, evidence: Evidence) -> Check:
    """Take the links and the sentences with unsupported numbers out of a text and say which they were."""
    invented = find_invented(text, evidence)
    if not invented:
        return Check(text, ())
    language = language_of(text)
    lines = []
    for mark, rest in without_list_marks(remove_links(text, _unknown_links(text, evidence, language))):
        kept = [sentence for sentence in _sentences(rest) if not _invented(sentence, rest, evidence, language)]
        if kept or not rest.strip():
            lines.append(mark + " ".join(kept))
    return Check(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), invented)


def _sentences(line: str) -> list[str]:
    """Cut a line into sentences; "2. Mai" is a date, not the end of one."""
    sentences: list[str] = []
    for piece in _SENTENCE_END.split(line):
        if sentences and re.search(r"\b\d\d?\.$", sentences[-1]) and is_month(piece.split(maxsplit=1)[0]):
            sentences[-1] += f" {piece}"
        else:
            sentences.append(piece)
    return sentences


def _invented(text: str, line: str, evidence: Evidence, language: str) -> list[str]:
    """Find what nothing supports in a text, the line itself or a sentence of it."""
    claims = read_claims(text, language=language, known_names=evidence.names)
    days = read_claims(line, language=language, known_names=evidence.names).days if evidence.rows else ()
    sources = evidence.with_rows(line, days)
    found = [link for link in claims.links if not _known_link(link, evidence)]
    found += [day.words for day in claims.days if not _known_day(day, evidence)]
    judged = _judged(text, claims, evidence)
    found += [text] if evidence.private and repeats(text, evidence.private) else []
    found += [*judged.untrue, *(unknown_names(text, evidence.known_text) if evidence.strict else ())]
    loose = [
        one
        for one in claims.numbers
        if one.start not in judged.proven
        and not _repeats_question(one, claims.text, evidence)
        and (not _known_number(one, sources) or (evidence.strict and _has_wrong_unit(one, claims.text, sources)))
    ]
    return found + [number.words for number in loose if not any(number.words in words for words in judged.untrue)]


def _repeats_question(number: Number, text: str, evidence: Evidence) -> bool:
    """Tell whether a number is a year, a count or a bound that the user has named."""
    if evidence.asked is None or not _known_number(number, [evidence.asked]):
        return False
    sized = number.percent or number.share or unit_after(fold(text), number.end)
    whole = all(one.value.is_integer() for readings in number.readings for one in readings)
    before = text[max(0, number.start - BOUND_BEFORE) : number.start]
    return (whole and not sized) or any(
        word_pattern(slot).search(fold(before)) for slot in ("above", "below", "between")
    )


def _judged(text: str, claims: Claims, evidence: Evidence) -> Judged:
    """Hold a sentence against the tables, unless a tool itself said it."""
    if not evidence.strict or fold(text).strip(" -*") in evidence.known_text:
        return Judged((), frozenset())
    return judge(claims, evidence.tables, evidence.shares)


def _unknown_links(text: str, evidence: Evidence, language: str) -> tuple[str, ...]:
    claims = read_claims(text, language=language, known_names=evidence.names)
    return tuple(link for link in claims.links if not _known_link(link, evidence))


def _known_link(link: str, evidence: Evidence) -> bool:
    """Tell whether a tool gave this page, or a page of this site."""
    bare = link.rstrip("/")
    return any(known.rstrip("/") == bare or known.startswith(f"{bare}/") for known in evidence.links)


def _known_number(number: Number, sources: Sequence[Evidence]) -> bool:
    def known(reading: Reading, evidence: Evidence) -> bool:
        if number.share:
            share = Reading(reading.value * 100, reading.tolerance * 100)
            return _is_near(reading, evidence.numbers) or _is_near(share, evidence.shares)
        return _is_near(reading, evidence.shares if number.percent else evidence.numbers, percent=number.percent)

    return any(
        readings and all(any(known(one, evidence) for evidence in sources) for one in readings)
        for readings in number.readings
    )


def _is_near(reading: Reading, known: set[float], *, percent: bool = False) -> bool:
    return any(abs(reading.value - value) <= _slack(value, reading, percent) for value in known)


def _slack(value: float, reading: Reading, percent: bool) -> float:
    """Whole numbers are counts, to be met exactly unless rounded to millions; only measured ones are rounded."""
    counted = float(value).is_integer() and reading.tolerance <= 0.5
    small = reading.tolerance == 0.5 and abs(value) < 1 and not percent
    return 1e-9 if counted or small else reading.tolerance * (1 + 1e-9)


def _has_wrong_unit(number: Number, text: str, sources: Sequence[Evidence]) -> bool:
    """Tell whether a number is told in a unit in which no source has it, while some source has it in another."""
    unit = unit_after(fold(text), number.end)
    if not unit or number.percent or number.share:
        return False
    readings = [reading for one in number.readings if len(one) == 1 for reading in one]

    def held(units: Iterable[str]) -> bool:
        known = {value for one in sources for other in units for value in one.sizes.get(other, ())}
        return any(_is_near(reading, known) for reading in readings)

    others = {other for one in sources for other in one.sizes if other not in (unit, "")}
    sized = {
        table.unit or NO_UNIT
        for one in sources
        for table in one.tables
        for value in table.values
        if any(_is_near(r, {value}) for r in readings)
    }
    return not held([unit]) and unit not in sized and (held(others) or bool(sized) or not held([""]))


def _known_day(day: Day, evidence: Evidence) -> bool:
    return any(
        (year, month, number) in evidence.dates
        if year is not None
        else any((month, number) == known[1:] for known in evidence.dates)
        for year, month, number in day.readings
    )
