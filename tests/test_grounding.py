"""The number check: what stands in tool results passes, what does not is taken out."""

import pytest

from assistant.grounding import Evidence, find_invented, gather, strip_invented
from tools.schema import Statistics, StatisticsRow, ToolResult


@pytest.fixture
def evidence() -> Evidence:
    rows = (
        StatisticsRow(label="A", date="2025-05-02", value=0.6234, valid_pixels=7, total_pixels=8, outcome="ok"),
        StatisticsRow(label="B", date="2025-05-02", value=0.4, valid_pixels=5, total_pixels=9, outcome="ok"),
    )
    statistics = Statistics(rows=rows, unit="1", method="m")
    return gather([ToolResult(text="12 scenes, 41.26 ha", statistics=statistics)], ["since 2021?"])


@pytest.mark.parametrize(
    "text",
    [
        "It is 0.62, or 0.623.",
        "On 2 May 2025, May 2, 2025 and 2025-05-02.",
        "41.3 ha from 12 scenes since 2021.",
        "87.5 % of the pixels, 88 per cent.",
        "Their mean is 0.512.",
        "Sentinel-2, B04, T30UWU and CLC2018 are names.",
        "1. A list\n2. goes on",
        "See https://example.org/99 for more.",
    ],
)
def test_supported_numbers_pass(text: str, evidence: Evidence) -> None:
    assert find_invented(text, evidence) == ()


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("It is 0.93.", "0.93"),
        ("It is 0.63.", "0.63"),
        ("It is .85 now.", ".85"),
        ("On 3 May 2025.", "3 May 2025"),
        ("On 2025-05-03.", "2025-05-03"),
        ("Since 2018.", "2018"),
        ("About 90 % are valid.", "90 %"),
        ("13 scenes.", "13"),
        ("It fell by -0.62.", "-0.62"),
        ("It covers 1,234 ha.", "1,234"),
    ],
)
def test_unsupported_numbers_are_found(text: str, invented: str, evidence: Evidence) -> None:
    assert find_invented(text, evidence) == (invented,)


def test_only_the_offending_sentence_goes(evidence: Evidence) -> None:
    check = strip_invented("The mean is 0.62. Yields rose by 17 %. It is fine.\n\n- 12 scenes\n- 99 scenes", evidence)
    assert check.text == "The mean is 0.62. It is fine.\n\n- 12 scenes"
    assert check.invented == ("17 %", "99")
