"""Small words of sentences that are put together from numbers."""


def counted(number: int, noun: str) -> str:
    """Give a number with its noun: "1 scene", "2 scenes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
