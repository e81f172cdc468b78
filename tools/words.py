"""Small words of sentences that are put together from numbers."""


def counted(number: int, noun: str) -> str:
    """Give a number with its noun: "1 scene", "2 scenes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def megabytes(size_bytes: int) -> str:
    """Give a size in the unit that suits it: "40 kB", "0.4 MB", "12 MB", "3.1 GB"."""
    if size_bytes < 100_000:
        return f"{size_bytes / 1e3:.0f} kB"
    if size_bytes >= 1_000_000_000:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 10_000_000 else f"{size_bytes / 1e6:.1f} MB"
