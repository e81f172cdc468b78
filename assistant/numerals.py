"""Numbers in the numerals of other scripts and times: Roman (MMXIX) and Chinese or Japanese (七割)."""

import re
from collections.abc import Iterator

from assistant.spelled import Spelled

_ROMAN = re.compile(r"(?<![\w-])(?=[MDCLXVI]{4})M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![\w-])")
_ROMAN_VALUES = {"M": 1000, "D": 500, "C": 100, "L": 50, "X": 10, "V": 5, "I": 1}
_SMALLEST_ROMAN = 30
"""Below, a Roman numeral is a label: Annex II, Landsat VIII."""

_DIGITS = {
    char: value
    for value, chars in enumerate(("〇零", "一", "二两兩", "三", "四", "五", "六", "七", "八", "九"))
    for char in chars
}
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "萬": 10_000, "億": 10**8, "亿": 10**8}
_EAST_ASIAN = re.compile(f"([{''.join([*_DIGITS, *_POWERS])}]+)(割|%)?")


def numerals(text: str) -> Iterator[Spelled]:
    """Find the numbers in a text as written, capitals kept."""
    for match in _ROMAN.finditer(text):
        if (value := _roman(match[0])) >= _SMALLEST_ROMAN:
            yield Spelled(match.start(), match.end(), (float(value),))
    for match in _EAST_ASIAN.finditer(text):
        tenths = match[2] == "割"
        if match[2] or match[1] != "一":  # alone, it is an article
            value = _east_asian(match[1]) * (10 if tenths else 1)
            yield Spelled(match.start(), match.end(), (float(value),), 5 if tenths else 0.5, percent=bool(match[2]))


def _roman(word: str) -> int:
    values = [_ROMAN_VALUES[char] for char in word]
    return sum(-one if one < max(values[at:]) else one for at, one in enumerate(values))


def _east_asian(word: str) -> int:
    """Read "二〇一九" digit by digit, "三百二十" by its powers of ten."""
    if not any(char in _POWERS for char in word):
        return int("".join(str(_DIGITS[char]) for char in word))
    total = group = digit = 0
    for char in word:
        power = _POWERS.get(char)
        if power is None:
            digit = _DIGITS[char]
        elif power >= 10_000:
            total, group, digit = total + (group + digit or 1) * power, 0, 0
        else:
            group, digit = group + (digit or 1) * power, 0
    return total + group + digit
