"""In which language a user wants to be told, where they say so: "in German please", "réponds en italien"."""

import re

from assistant import lexicon
from assistant.sentences import word_pattern
from knowledge.lexicon import LANGUAGES, Language, is_function_word

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def demanded(question: str) -> Language | None:
    """Give the language that a sentence of a question asks to be answered in; None where none does."""
    for language in LANGUAGES:
        for sentence in _SENTENCE.split(question):
            if lexicon.has(sentence, f"in_{language}") and (
                lexicon.has(sentence, "dictate") or says_only_language(sentence)
            ):
                return language
    return None


def says_only_language(question: str) -> bool:
    """Tell whether a question says nothing but in which language the last answer is wanted."""
    named = lexicon.pattern(*(f"in_{language}" for language in LANGUAGES))
    rest, count = named.subn(" ", lexicon.fold(question))
    for known in (lexicon.pattern("courtesy", "follow_up", "dictate", "refers"), word_pattern("one")):
        rest = known.sub(" ", rest)
    words = re.findall(r"[^\W\d_]+", rest)
    return count > 0 and all(any(is_function_word(word, one) for one in LANGUAGES) for word in words)
