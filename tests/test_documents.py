"""Quotes from manuals: word for word, from the page that says so, and none where no document speaks of it."""

from datetime import date
from pathlib import Path

import pytest

from assistant.answers import compose
from assistant.slots import read
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
    assert "37 percent.” (Snow cover - Product User Manual, version 1, page 2)" in found.text


def test_a_newer_version_is_told(retriever: Retriever) -> None:
    found = quote_documents(retriever, "zorblat threshold")
    assert found.warnings == ("A newer version of Snow cover - Product User Manual is in the index: 2.",)


def test_a_code_is_quoted_as_its_row(retriever: Retriever) -> None:
    assert quote_documents(retriever, "meaning of zorblat code 254").citations[0].quote == "| 254 | zorblat water |"


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
