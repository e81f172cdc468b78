"""The nouns of the evals: a case, a score, and the YAML files that cases come from."""

import zlib
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from knowledge.catalogue import Catalogue
from knowledge.errors import SourceInvalid
from knowledge.schema import Frozen
from tools.schema import Outcome

CASES = Path(__file__).parent / "cases"

Language = Literal["en", "fr", "de", "es", "it"]
Group = Literal[
    "recommend",
    "policy",
    "coverage",
    "period",
    "resolution",
    "replaced",
    "negation",
    "document",
    "access",
    "negative",
    "argument",
    "graph",
    "number",
    "dialogue",
    "ambiguity",
    "injection",
]
Used = Literal[
    "tool", "place", "period", "against", "index", "layer", "bands", "classes", "units", "statistic", "above", "below",
    "rank", "count",
]  # fmt: skip
"""What a computation was asked for, word by word; each is scored alone."""
Over = Literal["place", "districts", "parcels"]
Split = Literal["dev", "held"]
Style = Literal["precise", "loose"]

LANGUAGES: tuple[Language, ...] = get_args(Language)
GROUPS: tuple[Group, ...] = get_args(Group)
NAMED_ONLY: frozenset[Group] = frozenset({"document", "access", "replaced"})
"""Groups that ask about a known product: it must be named, not recommended."""
COMPUTED: frozenset[Group] = frozenset({"argument", "graph", "number", "dialogue", "ambiguity"})
"""Groups that ask for a computation: scored by what was computed, with no source asked for."""


class Reference(Frozen):
    """What the demo archive holds, to be computed again from its files with numpy alone."""

    area: Literal["rennes", "cayenne"]
    of: str
    """An index that `evals.reference` knows the formula of, or a layer of the archive, `TCD` or `IMD`."""
    over: Over
    start: date = date.min
    end: date = date.max
    against: tuple[date, date] | None = None
    """Earlier period, whose values are subtracted."""
    by_date: bool = False
    """True: one value per date instead of one of the median over the dates."""
    below: float | None = None
    above: float | None = None
    """The text must tell how many of the units lie on this side."""


class Case(Frozen):
    """One question with what a right answer holds; an expectation that is not given is not scored."""

    id: str
    group: Group
    language: Language
    question: str
    twin: str | None = None
    """The precise case that this one words loosely."""
    products: tuple[str, ...] = ()
    """Ids of acceptable products, best first."""
    not_products: tuple[str, ...] = ()
    """Ids that must not be recommended; they may be named."""
    facts: tuple[str, ...] = ()
    """Words and numbers that the answer must hold; ` | ` parts spellings of the same fact."""
    editions: tuple[str, ...] = ()
    """Years the answer must name, all of them: those that bracket the one asked for."""
    negative: bool = False
    """True when CLMS has no such product: nothing may be recommended, and the answer must say so."""
    holders: tuple[str, ...] = ()
    """Who has it instead; one of them must be named."""
    turns: tuple[str, ...] = ()
    """Earlier questions of the same conversation; the answer to `question` is scored."""
    used: dict[Used, str | float | tuple[str, ...]] = Field(default_factory=dict)
    """Arguments the computation must have used."""
    outcome: Outcome | None = None
    graph: str | None = None
    """File of `evals/graphs` that one of the process graphs must be equal to."""
    reference: Reference | None = None
    options: tuple[str, ...] = ()
    """What a question back must offer; ` | ` parts spellings."""
    withheld: tuple[str, ...] = ()
    """Words that must not be in the answer."""
    must_cite: bool = True
    """An answer without any source fails; never asked of a negative case."""

    @property
    def style(self) -> Style:
        """Loose when it has a precise twin."""
        return "loose" if self.twin else "precise"

    @property
    def kind(self) -> Literal["computing", "answering"]:
        """Computing takes longer: its seconds are told apart."""
        return "computing" if self.group in COMPUTED else "answering"

    @property
    def split(self) -> Split:
        """One third is held back, by a hash of the pair's id, so that twins stay together and nothing moves."""
        return "held" if zlib.crc32((self.twin or self.id).encode()) % 3 == 0 else "dev"

    @model_validator(mode="after")
    def _expects_something_possible(self) -> "Case":
        if self.negative and (self.products or self.editions):
            raise ValueError("a negative case cannot expect products or editions")
        computed = self.used or self.outcome or self.graph or self.reference or self.options or self.withheld
        if not (self.negative or self.products or self.facts or computed):
            raise ValueError("it expects nothing")
        if set(self.products) & set(self.not_products):
            raise ValueError("a product is both wanted and unwanted")
        return self


class Score(Frozen):
    """What one scorer says about one answer."""

    value: Literal[0, 1] | None
    """None: the case does not ask for this."""
    reason: str


class Result(Frozen):
    """One asked case with its scores."""

    case: Case
    scores: dict[str, Score]
    recommended: str | None = None
    found: tuple[str, ...] = ()
    """Product ids in the order in which they were offered."""
    text: str = ""
    seconds: float = Field(ge=0)
    """Of the last turn; the median over trials."""
    tokens: int = 0
    """That a language model used for the last turn; the median over trials."""
    model: str = ""
    """Which mind answered."""
    trials: tuple[bool, ...] = ()
    """Whether each trial was all right."""
    texts: int = 1
    """Different texts that the trials gave."""

    @property
    def flapped(self) -> bool:
        """True when some trials were right and others wrong."""
        return len(set(self.trials)) > 1

    @property
    def all_right(self) -> bool:
        """True when every score that counts is 1."""
        return all(score.value != 0 for score in self.scores.values())


def load_cases(folder: Path = CASES, *, catalogue: Catalogue | None = None) -> tuple[Case, ...]:
    """Read all case files; a case with a twin takes over what it does not say itself.

    Raises:
        SourceInvalid: A file is no list of cases, a case is wrong, an id stands twice or a product does not exist.
    """
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.yaml")):
        for row in _rows(path):
            if row["id"] in rows:
                raise SourceInvalid(f"Case {row['id']} stands twice.", f"Rename one; the second is in {path.name}.")
            rows[row["id"]] = row
    if not rows:
        raise SourceInvalid(f"There are no cases in {folder}.", "Name a folder with YAML files.")
    cases = tuple(_case(row, rows) for row in rows.values())
    if catalogue is not None:
        _check_products(cases, {product.id for product in catalogue.products})
    return cases


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} cannot be read: {error}.", "Mend the file.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        raise SourceInvalid(f"{path.name} is not a list of cases with ids.", "See evals/README.md.")
    return rows


def _case(row: dict[str, Any], rows: dict[str, dict[str, Any]]) -> Case:
    twin = row.get("twin")
    if twin is not None and (twin not in rows or "twin" in rows[twin]):
        raise SourceInvalid(f"Case {row['id']} has no precise twin {twin!r}.", "Name a case that has no twin itself.")
    try:
        return Case.model_validate({**rows.get(str(twin), {}), **row})
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise SourceInvalid(f"Case {row['id']}: {field} {problem['msg']}.", "See evals/README.md.") from error


def _check_products(cases: tuple[Case, ...], known: set[str]) -> None:
    for case in cases:
        if unknown := {*case.products, *case.not_products} - known:
            raise SourceInvalid(f"Case {case.id} names unknown products: {', '.join(sorted(unknown))}.")
