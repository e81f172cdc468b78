"""Embedded maps and figures: one address as page, picture and data, with source, licence and what is invented."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.access import Access, User, acting_as
from assistant.published import Pictures
from assistant.schema import Answer
from assistant.sessions import Sessions
from assistant.settings import Settings
from assistant.users import ApiKeys
from tests.test_map_view import drawn
from tests.web.script import computed
from tools.charts import render_chart
from tools.errors import ArtifactNotFound
from tools.workspace import Workspace
from ui.errors import add_error_handlers
from ui.gate import Gate
from ui.page_api import page_router


def _client(settings: Settings, **more: Any) -> TestClient:
    app = FastAPI()
    app.include_router(page_router(settings, **more))
    return TestClient(app, raise_server_exceptions=False)


def test_a_map_is_embedded_with_legend_dates_source_licence_and_what_is_invented(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    picture, raster = drawn(Workspace(settings.artifacts_dir), "NDVI <b>")
    client = _client(settings)
    page = client.get(f"/embed/{picture.id}?lang=fr")
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    for words in (
        "Pas réel.",
        "NDVI &lt;b&gt;",
        "du 2025-06-01 au",
        "Source &lt;x&gt;.",
        "CC0-1.0",
        'lang="fr"',
        "map-ramp",
    ):
        assert words in page.text
    assert "<script" not in page.text
    assert client.get(f"/embed/{picture.id}.png").content == Path(picture.path).read_bytes()
    told = client.get(f"/embed/{picture.id}.json").json()
    assert (told["synthetic"], told["legend"]["low"], told["legend"]["high"]) == (True, 0.0, 1.0)
    assert told["bbox"] == pytest.approx([-1.7, 48.06, -1.66, 48.1], abs=0.001)
    assert told["links"]["geotiff"] == f"artifacts/{raster.id}"


def test_a_chart_is_embedded_with_its_numbers(tmp_path: Path) -> None:
    settings, answer = Settings(data_dir=tmp_path), computed()
    assert answer.plan is not None
    about: dict[str, Any] = {"title": "NDVI", "synthetic": False, "source_line": "Source."}
    chart = render_chart(Workspace(settings.artifacts_dir), answer.statistics[0], answer.plan, **about)
    client = _client(settings)
    assert client.get(f"/embed/{chart.id}.json").json()["statistics"]["rows"][1]["outcome"] == "no_data"
    page = client.get(f"/embed/{chart.id}").text
    assert "P1 &lt;b&gt;" in page
    assert "Not real" not in page


def test_only_the_sites_of_the_setting_may_frame_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, embed_origins="https://a.example, https://b.example; script-src *")
    picture, _ = drawn(Workspace(settings.artifacts_dir))
    reply = _client(settings).get(f"/embed/{picture.id}")
    assert reply.headers["content-security-policy"].endswith("frame-ancestors https://a.example")


def test_who_may_not_have_a_file_gets_no_form_of_it_and_other_files_are_no_picture(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    picture, raster = drawn(Workspace(settings.artifacts_dir))

    def refuse(file_id: str) -> None:
        raise ArtifactNotFound("There is no file with this id.", "Ask again.")

    for ending in ("", ".png", ".json"):
        assert _client(settings, need_file=refuse).get(f"/embed/{picture.id}{ending}").status_code == 500
        assert _client(settings).get(f"/embed/{raster.id}{ending}").status_code == 500


def test_a_picture_may_be_loaded_by_a_page_of_a_named_site_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, embed_origins="https://clms.example, *.eea.example")
    picture, _ = drawn(Workspace(settings.artifacts_dir), "NDVI")
    client = _client(settings)
    for site, policy in (
        ("https://clms.example/dashboard", "cross-origin"),
        ("http://clms.example/", "same-origin"),
        ("https://maps.eea.example", "cross-origin"),
        ("https://noteea.example", "same-origin"),
        ("https://clms.example.evil.example", "same-origin"),
        ("", "same-origin"),
    ):
        reply = client.get(f"/embed/{picture.id}.png", headers={"referer": site})
        assert reply.headers["cross-origin-resource-policy"] == policy, site


def test_an_owner_gives_away_a_picture_without_login_and_takes_it_back(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, auth="required", embed_origins="https://clms.example")
    picture, raster = drawn(Workspace(settings.artifacts_dir), "NDVI")
    app = FastAPI()
    app.include_router(page_router(settings))
    app.add_middleware(Gate, settings=settings)
    add_error_handlers(app, settings)
    reader = TestClient(app, base_url="http://127.0.0.1")
    owner = TestClient(app, base_url="http://127.0.0.1")
    owner.headers["authorization"] = f"Bearer {ApiKeys(settings.database).add('me', 'user')}"
    assert reader.get(f"/embed/{picture.id}").status_code == 401
    assert reader.post(f"/embed/{picture.id}/public").status_code == 401
    address = owner.post(f"/embed/{picture.id}/public").headers["location"]
    assert "NDVI" in reader.get(address).text
    assert reader.get(f"{address}.png").content == Path(picture.path).read_bytes()
    assert raster.id not in reader.get(f"{address}.json").text
    assert reader.get(f"{address[:-1]}/../../artifacts/{raster.id}").status_code == 401
    other = address[:-1] + ("a" if address[-1] != "a" else "b")
    assert reader.get(other).status_code == 404
    assert owner.post(f"/embed/{picture.id}/private", follow_redirects=False).status_code == 303
    assert reader.get(address).status_code == 404


def test_a_public_address_ends_with_the_conversation_of_who_gave_it(settings: Settings) -> None:
    picture, _ = drawn(Workspace(settings.artifacts_dir), "NDVI")
    sessions, given = Sessions(settings.database), Pictures(settings.database)
    access, addresses = Access(settings.database, required=True), {}
    for name in ("alice", "bob"):  # both computed the same map
        answer = Answer(text="0.5", artifacts=(picture,), session_id=name, model="", seconds=0.1)
        with acting_as(User(name=name)):
            access.open_session(name)
            sessions.save(name, "How green?", answer)
            addresses[name] = given.add(picture.id)
    sessions.delete("alice")
    with pytest.raises(ArtifactNotFound):
        given.find(addresses["alice"])
    with acting_as(User(name="alice")):
        given.end(picture.id)
    assert given.find(addresses["bob"]) == picture.id
