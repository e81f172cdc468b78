"""Words in a question that pose as instructions of the system: left out, so that what is really asked is answered."""

import re
from functools import cache

from assistant import lexicon

_TAGS = re.compile(r"<\|[^|<>]{0,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|user)>|\[/?system\]", re.I)
_BLOCK = re.compile(
    r"(<\|im_start\|>\s*system|<system>|<<SYS>>|\[system\]|\[INST\]).*?(<\|im_end\|>|</system>|<</SYS>>|\[/system\]|\[/INST\])",
    re.I | re.S,
)
_PARTS = re.compile(r"(?<=[.!?\n])\s+|\n+|\\n")
_LABEL = re.compile(r"[^\w]*(?:[\w'’]+\s){0,2}[\w'’]+\s*:")
_MARKUP = re.compile(r"^[\s#*>\-]+")


def without_injected(question: str) -> str:
    """Give a question without the sentences that pose as the system; as it is where nothing else is in it."""
    parts = [part for part in _PARTS.split(_TAGS.sub(" ", _BLOCK.sub(" ", question))) if part.strip()]
    kept = [part for part in parts if not _poses(part)]
    text = " ".join(" ".join(kept).split())
    changed = len(kept) < len(parts) or _TAGS.search(question) is not None
    return text if changed and re.search(r"\w{3}", text) else question


def _poses(sentence: str) -> bool:
    """Tell whether a sentence speaks to the machine: labelled as the system's, or telling it to drop its rules."""
    bare = _MARKUP.sub("", sentence)
    label = _LABEL.match(bare)
    labelled = label is not None and lexicon.has_only(label[0].rstrip(" :"), "system_label")
    return labelled or _orders().search(lexicon.fold(bare)) is not None


@cache
def _orders() -> "re.Pattern[str]":
    pairs = (("drop", "rules"), ("drop", "secrets"), ("reveal", "secrets"))
    said = (
        rf"(?:{lexicon.alternatives(verb)})\s+(?:[\w'’]+\s+){{0,4}}(?:{lexicon.alternatives(what)})"
        for verb, what in pairs
    )
    return re.compile(rf"(?<!\w)(?:{'|'.join(said)})")
