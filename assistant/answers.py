"""Write an answer from tool results alone: finding, how it was computed, cautions, sources, next questions."""

from collections.abc import Iterable, Sequence

from assistant import abilities, comparison, lexicon
from assistant.findings import OUTCOME_WORDS, computed_text, measured, period_in_words, picked_text, when_text
from assistant.pending import question_of, with_options
from assistant.slots import AVERAGE, ONE_END, THRESHOLDS, Slots
from knowledge.blocks import inert
from tools.schema import Outcome, Output, Place, Polygons, Recommendation, ToolResult
from tools.selection import with_unit

WAYS_SHOWN = 4
"""Ways to get a product: editions differ in theirs, so that the first ones alone would mislead."""
DEFAULT_PERIOD = "last 12 months"
"""Taken when a question names no period, and said in the answer."""

WHICH_AVERAGE = (
    "Say which average: that of other years (compared with other years, or with the years you name), or that of the "
    "parcels (the mean per parcel)."
)

BOTH_ENDS = "Give both ends: from which day to which."
ONE_RANGE = "Give one threshold, or one range with a lower and an upper end."
SETTLED_BY = {AVERAGE: WHICH_AVERAGE, ONE_END: BOTH_ENDS, THRESHOLDS: ONE_RANGE}
"""What to say of a question that leaves open what is meant."""

THANKS = "You are welcome. You can go on from here: with another place or another period, for example."
CANCELLED = "Cancelled: nothing was run."
NOTHING_WAITS = "Nothing waits for your word here. Ask your question again."

OUTCOME = "clms_outcome"
"""Key under which a planned answer tells its outcome, where that says more than the results of the tools."""

FOLLOW_UPS: dict[Output, str] = {
    "series": "Show the {index} curve of {where}, {when}.",
    "composite": "Show a map of {index} of {where}, {when}.",
    "per_polygon": "What is the mean {index} per parcel in {where}, {when}?",
}


def help_text() -> str:
    """Tell what can be asked."""
    return (
        "I answer questions about the land surface with products of the Copernicus Land Monitoring Service. "
        "I recommend a product with reasons and sources, explain products, list satellite scenes, and compute "
        f"{abilities.computable_text()}.\n\n"
        "Name a place or attach an area, and a period. "
        "For example: How green are the parcels around Rennes this summer?"
    )


OUT_OF_SCOPE = (
    "This is outside what I can answer: I know the land products of Copernicus and compute from satellite scenes."
)
OPENEO = (
    "Each computation here is an openEO process graph: its files hold the graph (JSON), a Python script and a "
    "notebook. Any openEO back-end that has the collection can run them; set CLMS_OPENEO_URL to one and the same "
    "question is computed there."
)
UDP = (
    "No user-defined process (UDP) is built in here. A back-end keeps those of its users: in Python, "
    "connection.save_user_defined_process stores a graph under a name and connection.list_user_defined_processes lists "
    "them."
)
FIRST_COMPUTE = "Ask for a computation first. For example: How green are the parcels around Rennes this summer?"


def openeo_text(read: Slots) -> str:
    """Tell how a computation runs elsewhere, and what there is of user-defined processes."""
    return "\n\n".join([OPENEO, *([UDP] * lexicon.has(read.text, "udp")), *([FIRST_COMPUTE] * (not read.computes))])


def compose(read: Slots, results: Sequence[ToolResult]) -> str:
    """Write the answer to a question that was read as `read`, from the results of its tools."""
    if read.intent == "thanks":
        return THANKS
    if read.intent in ("greeting", "help"):
        return help_text()
    if read.intent == "out_of_scope":
        return OUT_OF_SCOPE
    if read.intent == "openeo" and not results:
        return openeo_text(read)
    if not results:
        return "Not run: no tool could be used for this question.\n\n" + help_text()
    findings = _findings(results)
    told = [
        _not_computed(read, results),
        openeo_text(read) if read.intent == "openeo" else "",
        _ranked_at(read.rank, results),
        picked_text(read.order, read.rank, results),
        findings,
        _outside(read),
        comparison.side_by_side(results, _plain_computes(read)) if read.compares else "",
        comparison.season_shifts(results),
        _product(results),
    ]
    quotes = _bullets("The documents say", _quotes(results, told=findings))
    first = any(one.data.get("documents_first") for one in results) and not any(one.plan for one in results)
    sections = [
        quotes if first else "",
        *(reversed(told) if _is_product_first(read, results) else told),
        "" if first else quotes,
        _how(read, results),
        _bullets("Cautions", cautions(results)),
        _sources(results, told="\n".join(told)),
    ]
    return "\n\n".join(section for section in sections if section)


def _ranked_at(rank: int, results: Sequence[ToolResult]) -> str:
    """Tell the one of a ranking that is meant; empty where none is, or the ranking is shorter."""
    ranking = next((found for result in results if (found := result.data.get("ranking"))), None)
    if not ranking or not 0 < rank <= len(ranking["units"]):
        return ""
    one = ranking["units"][rank - 1]
    return f"Number {rank} of the ranking: **{one['label']}** {with_unit(one['value'], ranking.get('unit', ''))}."


def _outside(read: Slots) -> str:
    """Say which parts of a question nobody here answers; whom to ask for the others is told by the search."""
    words = [part.rstrip(" ?.!") for part in read.outside if not abilities.names_elsewhere(part)]
    return f"Outside what I can answer: {'; '.join(words)}." if words else ""


def _is_product_first(read: Slots, results: Sequence[ToolResult]) -> bool:
    """Tell whether a sure product is the finding: nothing was computed beside it, for its layer is not here."""
    product = recommendation(results)
    nothing = not any(result.statistics or result.question for result in results)
    return read.intent == "recommend" and product is not None and product.certain and nothing


def _plain_computes(read: Slots) -> int:
    """Count the computations whose values can be set side by side."""
    return sum(one.output not in comparison.YEARLY for one in read.computes)


def planned_outcome(read: Slots, results: Sequence[ToolResult]) -> Outcome:
    """Tell how a question ended: what no tool computes did not run, unless another part of it was computed."""
    computed = any(result.plan for result in results)
    return "not_run" if read.missing and not computed else worst_outcome(results)


def worst_outcome(results: Iterable[ToolResult]) -> Outcome:
    """Tell how a whole question ended: well when any computation did, else as its first step that did not."""
    all_results = list(results)
    if any(result.plan and result.outcome == "ok" for result in all_results):
        return "ok"
    return next((result.outcome for result in all_results if result.outcome != "ok"), "ok")


def cautions(results: Sequence[ToolResult]) -> tuple[str, ...]:
    """Give what a reader must know, once each: the warnings of the tools, then those of the product."""
    told = [text for result in results for text in result.warnings]
    told += [text for result in results if result.recommendation for text in result.recommendation.cautions[:3]]
    return tuple(dict.fromkeys(told))


def follow_ups(results: Sequence[ToolResult]) -> tuple[str, ...]:
    """Suggest up to three next questions that the same tools can answer, each with its dates."""
    plans = [result.plan for result in results if result.plan and not result.plan.layer]
    product = recommendation(results)
    found: list[str] = []
    if plans:
        plan, done = plans[0], {plan.output for plan in plans}
        where = "this area" if _is_attached(plan.place, plan.polygons) else plan.place.name
        found += [
            words.format(index=measured(plan), where=where, when=period_in_words(plan))
            for output, words in FOLLOW_UPS.items()
            if output not in done
        ]
    if product and product.compute_question and not plans:
        found.append(product.compute_question)
    if product:
        found.append(f"Tell me about {product.title}.")
    return tuple(found[:3])


def recommendation(results: Sequence[ToolResult]) -> Recommendation | None:
    """Give the product the tools recommend, when they do."""
    return next((result.recommendation for result in results if result.recommendation), None)


def _is_attached(place: Place, polygons: Polygons | None) -> bool:
    return place.kind == "uploaded area" or bool(
        polygons and polygons.source not in ("", place.source) and "." in polygons.source
    )


def _not_computed(read: Slots, results: Sequence[ToolResult]) -> str:
    """Say first what was asked and is not computed, and what can be."""
    if not read.missing:
        return ""
    unknown = [words for words in read.missing if words not in SETTLED_BY]
    told = [f"Not run: {words}. {SETTLED_BY[words]}" for words in read.missing if words in SETTLED_BY]
    if unknown:
        told.append(f"Not run: {'; '.join(unknown)}. No tool here computes that; computable now: ")
        told[-1] += f"{abilities.computable_text()}."
    text = "\n\n".join(told)
    computed = any(result.plan and result.outcome == "ok" for result in results)
    return f"{text} What could be computed of the question follows." if computed else text


def _findings(results: Sequence[ToolResult]) -> str:
    """Tell the computed findings first, then what did not work, then what other tools said."""
    worded = (result for result in results if result.statistics and result.outcome == "ok")
    found = [str(result.data.get("finding") or computed_text(result)) for result in worded]
    # That no layer is known for a subject is no news beside the search, which says why.
    found += [unhappy_text(one) for one in results if one.outcome != "ok" and one.data.get("product", "") is not None]
    found += _asked(results)
    plain = [result.text for result in results if result.outcome == "ok" and not result.statistics]
    if not found or not all(
        result.recommendation for result in results if result.outcome == "ok" and not result.statistics
    ):
        found += [text for text, result in zip(plain, _plain(results), strict=True) if not result.recommendation]
    return "\n\n".join(dict.fromkeys(text for text in found if text))


def _plain(results: Sequence[ToolResult]) -> list[ToolResult]:
    return [result for result in results if result.outcome == "ok" and not result.statistics]


def unhappy_text(result: ToolResult) -> str:
    """Tell a step that did not end well by its outcome and the tool's words; empty where it asks the user."""
    if result.question:
        return ""
    return f"{OUTCOME_WORDS[result.outcome]}: {result.text}"


def _asked(results: Sequence[ToolResult]) -> list[str]:
    """Tell what is asked back; of several large runs it is one question with one list of options."""
    joint = question_of(results)
    if joint and joint.approves:
        others = [one.question for one in results if one.question and not one.question.approves]
        return [with_options(one) for one in (joint, *others)]
    return [with_options(one.question) for one in results if one.question]


def _product(results: Sequence[ToolResult]) -> str:
    product = recommendation(results)
    if not product:
        return ""
    computed = any(result.plan for result in results)
    lead = "Product to use" if product.certain else "Nearest product found, not certain"
    lines = [f"**{product.title}: facts asked for**", *(f"- {fact}" for fact in product.facts), ""] * bool(
        product.facts
    )
    lines = [product.told_first, "", *lines] if product.told_first else lines
    lines += [f"**{lead}: {product.title}**"]
    lines += [f"- It falls short: {product.lacks}"] if product.lacks else []
    lines += [f"- {product.left_out}"] if product.left_out else []
    lines += [f"- {reason}" for reason in product.why]
    lines += [f"- Access: {way}" for way in product.access[:WAYS_SHOWN]]
    lines += [f"- To compute: {product.computable}"] if product.computable and not computed else []
    lines += [
        f"- Why not {other.title}: {other.lacks or 'nothing is known against it.'}" for other in product.alternatives
    ]
    return "\n".join(lines)


def _how(read: Slots, results: Sequence[ToolResult]) -> str:
    lines = []
    for result in results:
        if not (result.plan and result.statistics):
            continue
        plan = result.plan
        if plan.layer:
            lines.append(f"{result.statistics.method} Plan {plan.fingerprint}.")
            continue
        lines.append(
            f"{result.statistics.method} Collection {plan.collection_id}; {when_text(plan)}; "
            f"scenes with at most {plan.max_cloud_cover_percent:g} % cloud; plan {plan.fingerprint}."
        )
    if lines and read.intent == "compute" and not all(wanted.period for wanted in read.computes):
        lines.append(f"The question names no period, so I took the {DEFAULT_PERIOD}.")
    files = sum(len(result.artifacts) for result in results)
    if files:
        lines.append("The files of this run are attached: they hold the plan, the process graph and the numbers.")
    return _bullets("How it was computed", tuple(dict.fromkeys(lines)))


def _quotes(results: Sequence[ToolResult], *, told: str) -> tuple[str, ...]:
    """Give what manuals say and is not told yet, word for word, with the page it stands on."""
    cited = [one for result in results for one in result.citations if not one.own_words]
    return tuple(
        inert(f"“{one.quote}” ({one.place}{'' if one.verified else '; quote not verified'})")
        + (f" <{one.url}>" if one.url else "")
        for one in cited
        if inert(one.quote) not in told
    )


def _sources(results: Sequence[ToolResult], *, told: str) -> str:
    """Give the cards an answer rests on, each with a quote, and with what else it quotes that is not told above."""
    seen: dict[str, str] = {}
    cards: set[str] = set()
    for citation in (one for result in results for one in result.citations if one.own_words):
        if citation.place in cards and citation.verified and citation.quote in told:
            continue
        cards.add(citation.place)
        link = f" More: <{citation.url}>" if citation.url else ""
        mark = "" if citation.verified else " (quote not verified)"
        quote = f" “{citation.quote}”" if citation.quote else ""
        seen.setdefault(citation.passage_id, f"{citation.place}:{quote}{mark}{link}")
    return _bullets("Sources", tuple(seen.values())[:6])


def _bullets(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", *(f"- {line}" for line in lines)]) if lines else ""
