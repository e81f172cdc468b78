"""Answer in the language of the question: at the end of a turn, what is told is put over; tools speak English."""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from assistant import abilities, lexicon, pending, tongue
from assistant.known_places import find_named
from assistant.phrases import has_english, translate
from assistant.schema import Answer, ErrorEvent, Event, QuestionEvent, ToolProgress
from knowledge.lexicon import LANGUAGES, Language, count_function_words, is_function_word
from tools.period_words import LANGUAGES as PERIOD_WORDS
from tools.schema import Question

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

CUE_WEIGHT, STANDS_OUT = 5.0, 4.0
"""What a cue word counts beside the letters of a text, and by how much a language must lead; natural logarithms."""
NOTE = "What is in English here stands so in the product catalogue or in its source."
"""Added to an answer in another language that holds sentences of the catalogue or of manuals."""


@lru_cache(maxsize=256)
def language_asked(question: str, before: Language | None = None) -> Language:
    """Tell in which language to answer: the one asked for, that of the question, or, too short, the conversation's.

    Args:
        question: What is asked now.
        before: The language of the conversation so far; None where it has just begun.
    """
    if said := tongue.demanded(question):
        return said
    best = _likely(question)
    if len(best) == 1:
        return best[0]
    return before if before in best and before else _guess(question, best) or best[0]


def in_language(answer: Answer, language: Language, *, planned: bool) -> Answer:
    """Put an answer into a language, with its warnings, its question and what could be asked next.

    Args:
        answer: As the loop made it.
        language: What the user speaks.
        planned: True for a text of the offline planner; a language model has chosen the language of its own.
    """
    if language == "en":
        return answer
    question = answer.question and _question(answer.question, language)
    text = answer.text
    if planned:
        text = translate(text, language)
        text += f"\n\n{translate(NOTE, language)}" if has_english(text) else ""
    elif answer.question:
        asked = pending.with_options(answer.question)
        text = text.replace(asked, translate(asked, language))
    return answer.model_copy(
        update={
            "text": text,
            "language": language,
            "question": question,
            "warnings": tuple(translate(one, language) for one in answer.warnings),
            "follow_ups": tuple(translate(one, language) for one in answer.follow_ups),
        }
    )


def speaking(emit: Callable[[Event | None], None], language: Language) -> Callable[[Event | None], None]:
    """Give what emits the same events with their words in a language."""
    return lambda event: emit(_told(event, language))


def _told(event: Event | None, language: Language) -> Event | None:
    """Put over what an event says to the user; the text of a tool's result stays as it is kept."""
    match event:
        case ErrorEvent():
            words = {"message": translate(event.message, language), "hint": translate(event.hint, language)}
            return event.model_copy(update=words)
        case QuestionEvent():
            return event.model_copy(update={"question": _question(event.question, language)})
        case ToolProgress():
            return event.model_copy(update={"message": translate(event.message, language)})
    return event


def _question(question: Question, language: Language) -> Question:
    return question.model_copy(
        update={
            "text": translate(question.text, language),
            "options": tuple(translate(one, language) for one in question.options),
            "changes": {translate(words, language): change for words, change in question.changes.items()},
        }
    )


def _guess(text: str, among: Sequence[Language]) -> Language | None:
    """Guess the language of a few words by their letters and by the cue words among them; None where none stands out.

    A place name alone is no evidence for a language: another one than English must stand out from it.
    """
    own = abilities.without_product_names(text)
    for place in find_named(own):
        own = own.replace(place.words, " ")
    letters = dict(_by_letters().rank(own.replace("|", " ")))
    found = {one: letters[one] + CUE_WEIGHT * sum(1 for _ in _cues(one).finditer(lexicon.fold(own))) for one in among}
    best, *others = sorted(found, key=lambda one: -found[one])
    rival = "en" if best != "en" and "en" in found else next(iter(others), best)
    return best if rival == best or found[best] - found[rival] >= STANDS_OUT else None


@cache
def _by_letters() -> "LanguageIdentifier":
    """Load the identifier at the first text that function words do not settle: that takes most of a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(LANGUAGES))
    return identifier


def _likely(text: str) -> list[Language]:
    """Give the languages a text may be in: all of them where it has no function word of any."""
    if "¿" in text or "¡" in text:
        return ["es"]
    some = any(count_function_words(abilities.without_product_names(text)).values())
    return _most(text, LANGUAGES) if some else list(LANGUAGES)


def _most(text: str, among: Sequence[Language]) -> list[Language]:
    """Give those of some languages that most words of a text belong to; names of products say nothing."""
    own = lexicon.fold(abilities.without_product_names(text))
    counts = count_function_words(own)
    found = {one: counts[one] + sum(_weight(cue[0], one) for cue in _cues(one).finditer(own)) for one in among}
    return [one for one in among if found[one] == max(found.values())]


def _weight(cue: str, language: Language) -> int:
    """Give the words of a cue; a function word alone is counted already: "was" is English, too."""
    words = cue.split()
    return 0 if len(words) == 1 and is_function_word(cue, language) else len(words)


@cache
def _cues(language: Language) -> "re.Pattern[str]":
    """Give the pattern of all cue words and words of time of a language, the longest first."""
    words = {lexicon.fold(word) for slot in lexicon.load().root.values() for word in slot[language] if "#" not in word}
    words = {word for word in words if not abilities.is_index_name(word)}  # NDVI is of no language
    words |= {word for named in PERIOD_WORDS[language].values() for word in named.split()}
    words |= set(PERIOD_WORDS["en"]) if language == "en" else set()  # their keys are English words
    longest = sorted(words, key=lambda word: (-len(word), word))
    patterns = (re.escape(word).replace(r"\*", r"\w*") for word in longest)
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)")
