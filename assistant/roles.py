"""Leave out of a question what claims to come from somebody else: a system, an assistant, a tool."""

import re
import unicodedata
from functools import cache

from assistant import abilities, lexicon, tongue

_OTHERS = "system|developer|assistant|tool|système|sistema|systeem|outil|werkzeug|herramienta|strumento"
_USER = "user|human|utilisateur|utilisatrice|nutzer|benutzer|usuario|usuaria|utente"
_MARK = re.compile(
    rf"<\|im_start\|>\s*(?P<opened>\w+)|<\|(?P<bar>{_OTHERS}|{_USER})\|>|[<\[]\s*(?P<tag>{_OTHERS}|{_USER})\s*[>\]]"
    rf"|<<(?P<sys>SYS)>>|<\|[^|<>]{{0,40}}\|>|[<\[]/\s*(?:{_OTHERS}|{_USER})\s*[>\]]|<</SYS>>|\[/?INST\]"
    rf"|(?:^|(?<=[\n.!?>]\s)|(?<=\n))\s*(?P<label>{_OTHERS}|{_USER})\s*:"
    rf"|#{{2,6}}\s*(?P<head>{_OTHERS}|{_USER}|instructions?|response|question|input)\s*:",
    re.I,
)
"""Where another voice begins or ends: tags, the marks of chat templates, `SYSTEM:` at the start of a sentence."""
_HIDDEN = re.compile(r'<!--.*?(?:-->|\Z)|\{[^{}]*"role"\s*:\s*"(?!user")\w+"[^{}]*\}', re.I | re.S)
"""Comments and messages of a chat API: nobody says them."""
_SENTENCE = re.compile(r"(?<=[.!?\n])\s+|\n+|\\n")
_BRACKETED = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_LOOK_ALIKE = str.maketrans("АВЕЅІЈКМНОРСТХУаеѕіјорсхуΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABESIJKMHOPCTXYaesijopcxyABEZHIKMNOPTYXo")
"""Cyrillic and Greek letters that look like Latin ones; the text itself keeps them."""
_LABEL = re.compile(r"[\W_]*(?:[\w'’]+\s){0,2}[\w'’]+\s*:")

_SIZED = re.compile(r"\d\s*(?:k?m|ha|%|met(?:er|re|ro|ri)s?\b)|\b(?:hectares?|hektar|hectareas|ettari)\b")


def users_words(question: str) -> str:
    """Give what the user says in their own name, without sentences that pose as the system's.

    The question stays as it is where nothing of it would be left.
    """
    seen = "".join(one for one in question if unicodedata.category(one) != "Cf")  # zero-width signs part no words
    said = _BRACKETED.sub(lambda match: "\n" if _poses(match[1]) else match[0], _HIDDEN.sub("\n", seen))
    parts = [part for part in _SENTENCE.split("\n".join(_own(said))) if part.strip()]
    kept = " ".join(" ".join(part for part in parts if not _poses(part)).split())
    changed = said != question or _MARK.search(said) or any(map(_poses, parts))
    return kept if changed and re.search(r"\w{3}", kept) else question


def _own(question: str) -> list[str]:
    """Part a question where voices change and give the parts of the user; all of it where there is none."""
    kept, start, own = [], 0, True
    for mark in _MARK.finditer(question):
        kept += [question[start : mark.start()]] * own
        role = next((mark[name] for name in ("opened", "bar", "tag", "sys", "label", "head") if mark[name]), "")
        own, start = not role or re.fullmatch(f"{_USER}|question|input", role, re.I) is not None, mark.end()
    kept += [question[start:]] * own
    return [part for part in kept if part.strip()] or [question]


def _poses(sentence: str) -> bool:
    """Tell whether a sentence speaks to the machine: labelled as the system's, or telling it to drop its rules."""
    sentence = sentence.translate(_LOOK_ALIKE)
    label = _LABEL.match(sentence)
    labelled = label is not None and lexicon.has_only(label[0].strip("\n\t #*>-:"), "system_label")
    if labelled or not _orders().search(lexicon.fold(sentence)):
        return labelled
    return not (tongue.demanded(sentence) or _bounds_answer(sentence))


def _bounds_answer(sentence: str) -> bool:
    """Tell whether an order sets a size or a unit and names no product: a user may want that of an answer."""
    return bool(_SIZED.search(lexicon.fold(sentence))) and abilities.without_product_names(sentence) == sentence


@cache
def _orders() -> "re.Pattern[str]":
    pairs = (("drop", "rules"), ("drop", "secrets"), ("reveal", "secrets"), ("must", "dictate"))
    said = (
        rf"(?:{lexicon.alternatives(verb)})\s+(?:[\w'’-]+\s+){{0,4}}(?:{lexicon.alternatives(what)})"
        for verb, what in pairs
    )
    return re.compile(rf"(?<!\w)(?:{'|'.join(said)})")
