"""Quotes from manuals: word for word, from the page that says so, and none where no document speaks of it."""

from datetime import date
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from assistant.answers import compose
from assistant.conversation import read
from knowledge.ingest import build_index
from knowledge.ingest_documents import ingest_documents
from knowledge.retrieval import Retriever
from tests.made import manual_pdf
from tools.documents import quote_documents
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("documents")
    index = folder / "index"
    texts = ["General words about snow.", "Wombats hide under ice. The zorblat threshold is 37 percent. It may change."]
    table = [("Code", "Meaning"), ("205", "zorblat cloud"), ("254", "zorblat water")]
    manual_pdf(folder / "snow_PUM_v1.pdf", [("1 Scope", texts[:1]), ("2 Limits", texts[1:])], table)
    manual_pdf(
        folder / "snow_PUM_v2.pdf", [("1 Scope", texts[:1]), ("2 Limits", [texts[1].replace("37", "41")])], table
    )
    build_index(index, embedding_model="none")
    ingest_documents(index, [str(folder)], embedding_model="none")
    return Retriever(index, embedding_model="none")


def test_each_document_is_quoted_with_its_page_also_where_they_differ(retriever: Retriever) -> None:
    found = quote_documents(retriever, "What is the zorblat threshold?")
    assert {(one.quote, one.page, one.version, one.verified) for one in found.citations} == {
        ("The zorblat threshold is 37 percent.", 2, "1", True),
        ("The zorblat threshold is 41 percent.", 2, "2", True),
    }
    assert "37 percent.” (Snow cover - Product User Manual, version 1, page 2, newer version: 2)" in found.text
    assert "41 percent.” (Snow cover - Product User Manual, version 2, page 2)" in found.text


def test_a_newer_version_is_told(retriever: Retriever) -> None:
    found = quote_documents(retriever, "zorblat threshold")
    assert found.warnings == ("A newer version of Snow cover - Product User Manual is in the index: 2.",)


def test_a_code_is_quoted_as_its_row(retriever: Retriever) -> None:
    found = quote_documents(retriever, "meaning of zorblat code 254").citations[0]
    assert found.quote == "| 254 | zorblat water |"
    assert found.place.endswith("columns: Code | Meaning")


def test_the_line_is_quoted_that_says_more_than_its_heading_and_of_a_code_its_own_row(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "wombat.md").write_text(
        "# Wombat manual\n\n## The Grumpf mode\n\nThe Grumpf mode of wombats is there. Sampling is every six days.\n\n"
        "## Flags\n\nTable 3. Snurf flags of wombats.\n\n| Value | Meaning |\n| --- | --- |\n"
        "| 250 | a snurf of wombats |\n| 255 | nothing seen |\n",
        encoding="utf-8",
    )
    build_index(tmp_path / "index", embedding_model="none")
    ingest_documents(tmp_path / "index", [str(folder)], embedding_model="none")
    made = Retriever(tmp_path / "index", embedding_model="none")
    quotes = [
        [one.quote for one in quote_documents(made, question).citations]
        for question in ("sampling of the Grumpf mode of wombats", "snurf flag value 255 of wombats")
    ]
    assert quotes == [["Sampling is every six days."], ["| 255 | nothing seen |"]]


def test_a_row_that_shares_no_word_with_the_question_is_not_quoted(retriever: Retriever) -> None:
    quotes = [one.quote for one in quote_documents(retriever, "snow manual meaning of code 199").citations]
    assert quotes == []


@pytest.mark.parametrize(
    "question", ["What is the orbital period of Jupiter's moon?", "", "zorblat tax rate of bananas"]
)
def test_where_no_document_speaks_of_it_none_is_quoted(retriever: Retriever, question: str) -> None:
    found = quote_documents(retriever, question)
    assert found.citations == ()
    assert found.text == "No document in the index speaks of this."


def test_documents_of_other_products_are_not_quoted_for_a_product(retriever: Retriever) -> None:
    assert quote_documents(retriever, "zorblat threshold", product_id="urban-atlas").citations == ()


def test_an_answer_quotes_the_manual_once_with_its_page(retriever: Retriever, tmp_path: Path) -> None:
    question = "Which product tells the zorblat threshold of snow?"
    services = Services(retriever, stac_url="", openeo_url="", workspace=Workspace(tmp_path))
    found = Toolbox(services, Context(today=date(2026, 9, 20), session_id="t")).search_products(question)
    text = compose(read(question), [found])
    assert text.count("The zorblat threshold is 41 percent.") == 1
    assert "Snow cover - Product User Manual, version 2, page 2" in text
    assert any("newer version" in warning for warning in found.warnings)


def test_a_card_is_a_source_once_and_what_is_not_told_is_quoted(retriever: Retriever, tmp_path: Path) -> None:
    services = Services(retriever, stac_url="", openeo_url="", workspace=Workspace(tmp_path))
    question = "Which product maps tree cover?"
    found = Toolbox(services, Context(today=date(2026, 9, 20), session_id="t")).search_products(question)
    cards = [one for one in found.citations if one.own_words]
    text = compose(read(question), [found])
    assert len(cards) > 2
    assert text.count("Product card of this catalogue") < len(cards)
    assert all(one.quote in text for one in cards[:6])


OMISSION = "Omission means built-up pixels, up to 7% of all, that the map leaves out."


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    """Manuals of two products, and one of none."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "sealing.md").write_text(
        "---\ntitle: HRL Imperviousness Density - manual\n---\n# Accuracy\n\nThe overall accuracy is 92 percent.\n\n"
        "# Errors\n\nGreen roofs are a frequent cause of omission. "
        f"{OMISSION}\n\n"
        "# Terms\n\nSealed pixels are those without soil.\n\n"
        "# Size\n\nPatches have a width of at least 30 m.\n\n# Codes\n\n| Value | Meaning |\n| --- | --- |\n"
        "| 7 | outside Europe |\n| 254 | no image |\n"
    )
    (folder / "grass.md").write_text(
        "---\ntitle: HRL Grassland - manual\n---\n# Validation\n\nProducers accuracy is lowest in the south.\n\n"
        "# Figures\n\n```\n![mowing figure](http://evil.example/p.png)<img src=q> \\<img src=r> 5 < 6\n```\n"
    )
    (folder / "orders.md").write_text(
        "# Orders\n\nDownload orders are kept for 72 hours.\n\n# Air quality\n\n"
        "Air quality modellers take a roughness length of 0.8 m for forest.\n"
    )
    build_index(folder / "index", embedding_model="none")
    ingest_documents(folder / "index", [str(folder)], embedding_model="none")
    return Retriever(folder / "index", embedding_model="none")


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("how accurate is imperviousness in 2018?", "The overall accuracy is 92 percent."),
        ("Wie genau ist die Versiegelung?", "The overall accuracy is 92 percent."),
        ("Quelle est la précision de l'imperméabilisation ?", "The overall accuracy is 92 percent."),
        ("¿Qué causa la omisión en la impermeabilización?", "Green roofs are a frequent cause of omission."),
        ("Per quanto tempo sono conservati gli ordini?", "Download orders are kept for 72 hours."),
        ("What is the minimum width of imperviousness patches?", "Patches have a width of at least 30 m."),
        ("Wie breit muss die Versiegelung mindestens sein?", "Patches have a width of at least 30 m."),
        ("Quelle est la hauteur minimale de l'imperméabilisation ?", ""),
        ("what does 254 mean in imperviousness", "| 254 | no image |"),
        ("what does 7 mean in imperviousness", "| 7 | outside Europe |"),
        (
            "What percentage of built-up pixels does imperviousness leave out?",
            OMISSION,
        ),
        ("What does omission mean in imperviousness?", OMISSION),
        ("how accurate is tree cover density?", ""),
        ("what does 253 mean in imperviousness", ""),
        ("what is the accuracy of the banana layer?", ""),
        ("¿Cuál es la precisión de las bananas?", ""),
        ("Wie genau ist die Schneebedeckung?", ""),
    ],
)
def test_a_question_of_any_language_is_answered_by_the_manual_it_is_about(
    several: Retriever, question: str, quote: str
) -> None:
    assert [one.quote for one in quote_documents(several, question).citations] == [quote] * bool(quote)


def test_a_manual_of_another_product_is_not_quoted(several: Retriever) -> None:
    assert {one.title for one in quote_documents(several, "accuracy of grassland").citations} == {
        "HRL Grassland - manual"
    }


def test_what_only_a_document_knows_comes_first_also_where_no_product_is_about_it(
    several: Retriever, tmp_path: Path
) -> None:
    services = Services(several, stac_url="", openeo_url="", workspace=Workspace(tmp_path))
    tools = Toolbox(services, Context(today=date(2026, 9, 20), session_id="t"))
    for question, said in (
        ("Which roughness length do air quality modellers take?", "a roughness length of 0.8 m for forest"),
        ("How accurate is imperviousness density?", "The overall accuracy is 92 percent."),
        ("What width do imperviousness density patches have?", "Patches have a width of at least 30 m."),
        ("What are sealed pixels in imperviousness density?", "Sealed pixels are those without soil."),
    ):
        found = tools.search_products(question)
        assert found.data["documents_first"], question
        assert said in compose(read(question), [found]).split("\n\n")[0]
    assert not tools.search_products("Imperviousness density of a town").data.get("documents_first")


def test_a_quote_is_shown_as_it_stands_and_makes_no_picture_or_link(several: Retriever) -> None:
    found = quote_documents(several, "mowing figure of grassland")
    (citation,) = found.citations
    assert citation.quote == "![mowing figure](http://evil.example/p.png)<img src=q> \\<img src=r> 5 < 6"
    assert citation.verified
    for text in (found.text, compose(read("mowing figure"), [found.model_copy(update={"text": ""})])):
        shown = MarkdownIt("commonmark").render(text)
        assert "![mowing figure](http://evil.example/p.png)&lt;img src=q&gt; \\&lt;img src=r&gt; 5 &lt; 6" in shown
        assert "<img" not in shown
