"""Names of places in the one form they are compared in."""

import re
import unicodedata

UNDECOMPOSED = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d"})
"""Letters that Unicode does not take apart into a letter and an accent."""
SEPARATORS = re.compile(r"[-'\u2018\u2019\u2013`./_]")
SAINTS = re.compile(r"\b(?:st|ste|sainte)\b")


def fold(text: str) -> str:
    """Bring a name to the form it is compared in: no case, accents, hyphens or abbreviated saints."""
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(UNDECOMPOSED))
        text = "".join(char for char in text if not unicodedata.combining(char))
    return SAINTS.sub("saint", " ".join(SEPARATORS.sub(" ", text).split()))
