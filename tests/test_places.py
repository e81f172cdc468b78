"""Names to places: spellings, languages, kinds, outlines, ambiguity, coordinates, NUTS codes."""

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pyproj import Geod
from shapely.geometry import Point, box, mapping, shape

from tools.errors import BackendUnavailable, NotCovered, PlaceAmbiguous, PlaceNotFound
from tools.gazetteer import DATABASE
from tools.nuts import FILE_NAME, GISCO_URL, NutsSource, find_regions
from tools.places import find_places, place_sources, resolve_place
from tools.schema import Place


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Rennes", "Rennes, France"),
        ("rennes, FRANCE", "Rennes, France"),
        ("Rennes France", "Rennes, France"),
        ("Rennes, Frankreich", "Rennes, France"),
        ("Rennes Bretagne", "Rennes, France"),
        ("around Rennes (France)", "Rennes, France"),
        ("autour de Rennes", "Rennes, France"),
        ("the city of Rennes", "Rennes, France"),
        ("bei München", "Munich, Germany"),
        ("Roazhon", "Rennes, France"),
        ("Cayenne", "Cayenne, French Guiana"),
        ("Cayenne, France", "Cayenne, French Guiana"),
        ("Kourou", "Kourou, French Guiana"),
        ("Cologne", "Köln, Germany"),
        ("munchen", "Munich, Germany"),
        ("Aix-la-Chapelle", "Aachen, Germany"),
        ("Lüttich", "Liège, Belgium"),
        ("Anvers", "Antwerp, Belgium"),
        ("Lodz", "Łódź, Poland"),
        ("Barcelona", "Barcelona, Spain"),
        ("Saint Malo", "Saint-Malo, France"),
        ("Paris", "Paris, France"),
        ("Paris, Texas", "Paris, Texas, United States"),
        ("Narva Estonia", "Narva, Estonia"),
        ("Córdoba, Argentina", "Córdoba, Argentina"),
        ("Córdoba in Spain", "Córdoba, Spain"),
        ("St Georges, French Guiana", "Saint-Georges, French Guiana"),
        ("Halle (Saale)", "Halle (Saale), Germany"),
    ],
)
def test_resolves_cities(text: str, name: str) -> None:
    place = resolve_place(text)
    assert place.name == name
    assert place.kind == "city"


def test_city_box_grows_with_population_and_says_that_it_is_one() -> None:
    small, large = resolve_place("Cayenne"), resolve_place("Barcelona")
    assert small.area_km2 == pytest.approx(25, rel=0.01)
    assert 25 < large.area_km2 <= 400
    assert "±2.5 km" in small.source
    assert "GeoNames" in small.source
    assert small.geometry is None
    west, south, east, north = small.bbox
    assert (west + east) / 2 == pytest.approx(-52.33, abs=0.02)
    assert (south + north) / 2 == pytest.approx(4.94, abs=0.02)


@pytest.mark.parametrize(
    ("text", "name", "inside", "outside", "area_km2"),
    [
        # The areas are the official ones: INSEE, Destatis, IDESCAT, ISTAT, Statistik Austria.
        ("Brittany", "Brittany, France", (-2.76, 47.66), (-1.55, 47.22), 27_208),
        ("Bayern", "Bavaria, Germany", (11.58, 48.14), (9.18, 48.78), 70_542),
        ("Catalunya", "Catalonia, Spain", (2.17, 41.40), (-0.88, 41.65), 32_108),
        ("Toskana", "Tuscany, Italy", (11.25, 43.77), (12.50, 41.90), 22_987),
        ("Guyane", "French Guiana, France", (-53.2, 3.9), (-55.2, 5.8), 83_534),
        ("Wien", "Vienna, Austria", (16.37, 48.21), (16.2, 48.1), 415),
        ("Luxemburg, Belgien", "Luxembourg, Belgium", (5.8, 49.7), (6.13, 49.61), 4_443),
        ("Deutschland", "Germany", (10.0, 51.0), (5.0, 52.0), 357_592),
    ],
)
def test_regions_and_countries_have_their_outline(
    text: str, name: str, inside: tuple[float, float], outside: tuple[float, float], area_km2: float
) -> None:
    place = resolve_place(text)
    assert place.name == name
    assert "Natural Earth" in place.source
    outline = shape(place.geometry)
    assert outline.is_valid
    assert outline.contains(Point(inside))
    assert not outline.contains(Point(outside))
    assert place.area_km2 == pytest.approx(area_km2, rel=0.04)
    assert place.bbox == pytest.approx(outline.bounds, abs=0.01)


@pytest.mark.parametrize(
    "names",
    [
        ("Brittany", "Bretagne", "Bretaña", "Bretagna", "Breizh", "region of Brittany", "la région Bretagne"),
        ("Bavaria", "Bayern", "Bavière", "Baviera", "Land Bayern"),
        ("Réunion", "La Réunion", "Reunión"),
        ("Canary Islands", "Îles Canaries", "Kanarische Inseln", "Islas Canarias", "Isole Canarie"),
        ("the Netherlands", "Pays-Bas", "Niederlande", "Países Bajos", "Paesi Bassi"),
        ("Finistère", "département du Finistère", "the department of Finistère"),
        ("Crete", "Kreta", "Crète", "Creta"),
        ("Netherlands", "Holland"),
        ("Provence", "Provenza"),
        ("Transylvania", "Transylvanie", "Siebenbürgen", "Transilvania"),
    ],
)
def test_a_region_has_one_outline_in_every_language(names: tuple[str, ...]) -> None:
    assert len({json.dumps(resolve_place(name).geometry) for name in names}) == 1


@pytest.mark.parametrize("name", ["Guadeloupe", "Martinique", "Mayotte", "Azores", "Madeira", "Corsica", "Scotland"])
def test_far_regions_are_bundled(name: str) -> None:
    assert resolve_place(name).geometry is not None


def test_a_country_leaves_out_what_lies_across_an_ocean_and_says_so() -> None:
    france = resolve_place("France")
    assert france.bbox[0] > -10
    assert "without the overseas regions" in france.source


def test_outlines_have_the_area_they_are_said_to_have() -> None:
    with sqlite3.connect(DATABASE) as db:
        rows = db.execute("SELECT name FROM place WHERE kind = 'country' AND country IN ('MT', 'CH', 'IE')").fetchall()
    assert len(rows) == 3
    for (name,) in rows:
        place = resolve_place(name)
        area_km2 = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape(place.geometry))[0]) / 1e6
        assert place.area_km2 == pytest.approx(area_km2, rel=0.005)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("province of Liège", "province"),
        ("Lüttich", "city"),
        ("provincia de Córdoba, España", "province"),
        ("Luxembourg (country)", "country"),
        ("Luxembourg, Belgium", "province"),
        ("Luxembourg city", "city"),
        ("County Cork", "county"),
        ("region of Rennes", "city"),
        ("canton de Genève", "canton"),
        ("San Marino", "country"),
        ("Andorra", "country"),
        ("Porto", "city"),
    ],
)
def test_words_of_kind_steer(text: str, kind: str) -> None:
    assert resolve_place(text).kind == kind


def test_a_kind_that_is_not_bundled_is_refused_with_what_is() -> None:
    with pytest.raises(PlaceNotFound) as caught:
        resolve_place("Landkreis München")
    assert "No district" in caught.value.hint
    assert "Munich, Germany" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Córdoba", {"Córdoba, Spain", "Córdoba, Argentina"}),
        ("Luxembourg", {"Luxembourg (country)", "Luxembourg, Belgium"}),
        ("Limburg", {"Limburg, Netherlands", "Limburg, Belgium"}),
        ("Saint-Armel", {"Saint-Armel, Ille-et-Vilaine, France", "Saint-Armel, Morbihan, France"}),
        ("commune de Saint-Armel", {"Saint-Armel, Ille-et-Vilaine, France", "Saint-Armel, Morbihan, France"}),
        ("Toledo", {"Toledo, Spain"}),
        ("Saint-Denis", {"Saint-Denis, Réunion", "Saint-Denis, Seine-Saint-Denis, France"}),
        ("Halle", {"Halle (Saale), Germany"}),
        ("Springfield", {"Springfield, Missouri, United States"}),
    ],
)
def test_ambiguous_names_ask_and_every_option_resolves(text: str, first: set[str]) -> None:
    with pytest.raises(PlaceAmbiguous) as caught:
        resolve_place(text)
    options = caught.value.options
    assert first <= set(options)
    assert len({resolve_place(option).bbox for option in options}) == len(options) > 1


def test_a_small_town_is_named_with_its_region() -> None:
    assert resolve_place("Plouhinec").name == "Plouhinec, Finistère, France"


def test_unknown_place_names_near_spellings() -> None:
    with pytest.raises(PlaceNotFound, match="Rennnes") as caught:
        resolve_place("Rennnes")
    assert "'Rennes, France'" in caught.value.hint


@pytest.mark.parametrize("text", ["Andes", "the Alps", "Danube", "Franken", "the Banat", "Galápagos", "La Mancha"])
def test_a_large_region_is_not_taken_for_a_town_of_its_name(text: str) -> None:
    with pytest.raises(PlaceNotFound, match="outline") as caught:
        resolve_place(text)
    assert "attach a polygon" in caught.value.hint
    assert resolve_place("Andes, Colombia").kind == "city"


@pytest.mark.parametrize("text", ["Xyzzyx", "", "  ", "Rennes, Estonia", "1e5", "'; DROP TABLE", "%", ",", "()"])
def test_unknown_place_has_a_hint(text: str) -> None:
    with pytest.raises(PlaceNotFound) as caught:
        resolve_place(text)
    assert caught.value.hint
    assert find_places(text) == []


def test_look_ups_from_many_threads_agree_and_leave_no_threads_behind() -> None:
    names = ["Rennes", "Xyzzyx", "Qwerty", "Narva", "Bayern", "Córdoba"]
    find_places("Bayern")
    before = threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(find_places, names * 20))
    assert found[: len(names)] * 20 == found
    assert threading.active_count() <= before


def test_coordinates() -> None:
    place = resolve_place("-1.67, 48.11")
    assert place.kind == "position"
    assert place.area_km2 == pytest.approx(25, rel=0.01)
    assert resolve_place("-1.7,48.0,-1.6,48.2").bbox == (-1.7, 48.0, -1.6, 48.2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("48.11, -1.67", "did you mean 'lon -1.67, lat 48.11'"),
        ("-30, 45", "in the sea"),
        ("48.11,-200", "not on the map"),
        ("1,2,1,4", "no area"),
        ("5,50,4,49", "no area"),
        ("170,-20,-170,-10", "180° meridian"),
        ("0,0,0,95", "not in degrees"),
        ("nan, 48", "not a number"),
        ("1, inf", "not a number"),
    ],
)
def test_impossible_coordinates_say_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(PlaceNotFound) as caught:
        resolve_place(text)
    assert told in f"{caught.value} {caught.value.hint}"


def test_latitude_first_is_asked_where_both_orders_are_on_land() -> None:
    with pytest.raises(PlaceAmbiguous) as caught:
        resolve_place("41.4, 2.2")
    first, second = (resolve_place(option) for option in caught.value.options)
    assert first.bbox[0] == pytest.approx(2.2, abs=0.1)
    assert second.bbox[0] == pytest.approx(41.4, abs=0.1)


def test_find_places_ranks_and_limits() -> None:
    found = find_places("Valencia", limit=2)
    assert [place.name for place in found] == ["Valencia, Spain", "Valencia, Venezuela"]


@pytest.mark.parametrize(("code", "name"), [("FRH0", "Brittany"), ("FR10", "Île-de-France"), ("DE2", "Bavaria")])
def test_a_nuts_code_without_its_boundary_takes_the_same_region_and_says_so(code: str, name: str) -> None:
    place = resolve_place(code)
    assert place.name == f"{name}, {'Germany' if code == 'DE2' else 'France'} ({code})"
    assert place.geometry == resolve_place(name).geometry
    assert "not the NUTS boundary" in place.source


def test_an_unknown_nuts_code_says_that_boundaries_are_not_bundled() -> None:
    with pytest.raises(PlaceNotFound, match="FRZ9 is not bundled"):
        resolve_place("NUTS FRZ9")


@pytest.fixture
def gisco(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve one NUTS file as GISCO does; give its address and its folder."""
    folder = tmp_path / "gisco"
    folder.mkdir()
    square = {
        "type": "Polygon",
        "coordinates": [[[-2.0, 48.0], [-1.0, 48.0], [-1.0, 49.0], [-2.0, 49.0], [-2.0, 48.0]]],
    }
    feature = {"type": "Feature", "properties": {"NUTS_ID": "FRH0", "NAME_LATN": "Bretagne"}, "geometry": square}
    collection = {"type": "FeatureCollection", "features": [feature]}
    (folder / FILE_NAME.format(level=2)).write_text(json.dumps(collection))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_nuts_boundaries_are_fetched_once_and_kept(gisco: tuple[str, Path], tmp_path: Path) -> None:
    url, served = gisco
    source = NutsSource(tmp_path / "nuts", url=url, hosts=frozenset({"127.0.0.1"}))
    place = resolve_place("FRH0", nuts=source)
    assert place.bbox == (-2.0, 48.0, -1.0, 49.0)
    assert "GISCO" in place.source
    (served / FILE_NAME.format(level=2)).unlink()
    assert resolve_place("FRH0", nuts=source) == place
    with pytest.raises(PlaceNotFound, match="no region FRZ0"):
        resolve_place("FRZ0", nuts=source)
    with pytest.raises(BackendUnavailable):
        resolve_place("FRZ", nuts=source)


def test_the_sources_are_told(tmp_path: Path) -> None:
    (tmp_path / "mine.geojson").write_text("{}")
    bundled, kept, communes, online = place_sources(NutsSource(tmp_path))
    towns, outlined = (int(number) for number in re.findall(r"(\d+) (?:towns|with their outline)", bundled))
    assert towns > 100_000
    assert outlined > 1_500
    assert "mine.geojson" in kept
    assert "none; `clms-assistant places fetch`" in communes
    assert "nothing is fetched" in online
    assert "gisco" in place_sources(NutsSource(tmp_path, url=GISCO_URL))[3]


def test_only_listed_hosts_are_asked(tmp_path: Path) -> None:
    source = NutsSource(tmp_path, url="http://127.0.0.1:9")
    with pytest.raises(BackendUnavailable, match="not a host"):
        resolve_place("FRH0", nuts=source)


def test_a_nuts_file_of_the_users_own_needs_no_network(gisco: tuple[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.geojson").write_bytes((gisco[1] / FILE_NAME.format(level=2)).read_bytes())
    place = resolve_place("FRH0", nuts=NutsSource(folder))
    assert place.name == "Bretagne (FRH0)"
    assert place.source.startswith("mine.geojson")
    (folder / "broken.geojson").write_text("{")
    with pytest.raises(PlaceNotFound, match=r"broken\.geojson"):
        resolve_place("FRH0", nuts=NutsSource(folder))


def test_a_landkreis_is_found_by_its_name_among_nuts_regions(tmp_path: Path) -> None:
    square = {
        "type": "Polygon",
        "coordinates": [[[11.5, 47.6], [12.6, 47.6], [12.6, 48.1], [11.5, 48.1], [11.5, 47.6]]],
    }
    names = {"DE213": "Rosenheim, Kreisfreie Stadt", "DE21K": "Rosenheim, Landkreis", "DE111": "A", "DE112": "A"}
    features = [
        {"type": "Feature", "properties": {"NUTS_ID": code, "NUTS_NAME": name}, "geometry": square}
        for code, name in names.items()
    ]
    (tmp_path / "nuts.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert resolve_place("im Landkreis Rosenheim", nuts=NutsSource(tmp_path)).name == "Rosenheim, Landkreis (DE21K)"
    assert resolve_place("Rosenheim", nuts=NutsSource(tmp_path)).kind == "city"
    with pytest.raises(PlaceAmbiguous) as raised:
        resolve_place("Landkreis A", nuts=NutsSource(tmp_path))
    assert raised.value.options == ("DE111", "DE112")
    with pytest.raises(PlaceNotFound):
        resolve_place("Landkreis Rosenheim")


def test_the_nuts_regions_of_a_place_are_those_it_has_ground_in(tmp_path: Path) -> None:
    squares = {"FRH01": box(0, 0, 1, 1), "FRH02": box(1, 0, 2, 1), "FRH03": box(1.95, 1, 3, 2), "FRH0": box(0, 0, 3, 2)}
    features = [
        {"type": "Feature", "properties": {"NUTS_ID": code, "NAME_LATN": "Some"}, "geometry": mapping(square)}
        for code, square in squares.items()
    ]
    (tmp_path / "mine.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    place = Place(name="There", kind="box", bbox=(0, 0, 2.02, 1.02), area_km2=1, source="")
    found = find_regions(3, place, NutsSource(tmp_path))
    assert found.names == ["Some (FRH01)", "Some (FRH02)"]  # of FRH03 it has a sliver
    with pytest.raises(NotCovered, match="NUTS 1"):
        find_regions(1, place, NutsSource(tmp_path))


def test_a_large_namesake_is_asked_about_and_another_name_is_not() -> None:
    with pytest.raises(PlaceAmbiguous) as caught:
        resolve_place("Cambridge")
    assert "Cambridge, United Kingdom" in caught.value.options
    assert any("Massachusetts" in option for option in caught.value.options)
    assert resolve_place("Porto").name == "Porto, Portugal"  # Bordeaux is so called in Portuguese
    assert resolve_place("Paris").name == "Paris, France"
