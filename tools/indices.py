"""The catalogue of indices: those of spyndex and those of a file of one's own, and which a collection allows."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tools import formulas
from tools.errors import Ambiguous, ToolInputError
from tools.layers import Layer, Layers
from tools.schema import Frozen

FOLDER = Path(__file__).with_name("recipes_data")
SYMBOLS = ("A", "B", "G", "G1", "Y", "R", "RE1", "RE2", "RE3", "N", "N2", "WV", "S1", "S2")
"""Band symbols of spyndex in the order of their wavelengths; heat needs other units than reflectance."""
RADAR = ("VV", "VH", "HH", "HV")
"""Polarisations of radar, named alike in every collection: backscatter as linear power, not in decibels."""
OTHER_NAMES = {"N": ("nir08",), "RE1": ("rededge",), "RE2": ("rededge",), "RE3": ("rededge",)}
"""Further common names a band goes by: Landsat's only near infrared, and the three red edges of older metadata."""
WAVELENGTH = "lambda"
"""How spyndex begins the names of central wavelengths; the rest is the symbol of the band."""
WAVELENGTHS = "Its wavelengths are those of Sentinel-2A, in nanometres: with another sensor the values are off."
MAX_NAMED, MAX_OPTIONS = 12, 8


class Recipe(Frozen):
    """How one index is computed."""

    id: str
    title: str
    """Short name as it is spelt."""
    long_name: str
    formula: str
    """Arithmetic on band symbols and constants."""
    constants: dict[str, float] = Field(default_factory=dict)
    note: str = ""
    """Where constants that are not the library's come from."""
    reference: str = ""
    """Address of the publication."""
    unit: str = "1"
    value_range: tuple[float, float] | None = None
    """Values at the two ends of a map's colours; None: those of the map itself."""
    valid_range: tuple[float, float] | None = None
    """Values that the formula can give from reflectances; None where that is not known."""
    colormap: str = "viridis"
    reading: str
    """One sentence on how to read the numbers."""
    caution: str = ""
    subject: str
    """What to look for in the catalogue when only the index is known."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Symbols of the bands in the order of their wavelengths."""
        used = formulas.names_in(formulas.parse(self.formula))
        return tuple(symbol for symbol in (*SYMBOLS, *RADAR) if symbol in used)

    @property
    def wants(self) -> str:
        """What the values of its bands must be."""
        return "backscatter as linear power" if set(self.needs) & set(RADAR) else "reflectances between 0 and 1"


class _OwnRecipe(Frozen):
    """What a file with a recipe of one's own may hold."""

    title: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]{1,19}$")
    long_name: str
    formula: str
    constants: dict[str, float] = Field(default_factory=dict)
    reference: str
    unit: str = "1"
    value_range: tuple[float, float] | None = None
    colormap: str = "viridis"
    reading: str
    caution: str = ""


def get_recipe(name: str) -> Recipe:
    """Return a recipe by id or short name, as spelt or in any case, or by words of its long name.

    Raises:
        Ambiguous: Several could be meant.
        ToolInputError: There is none.
    """
    known = recipe_ids()
    found = known.get(name.strip()) or known.get(name.strip().lower())
    if found is None:
        same = [one for title, one in known.items() if title.lower() == name.strip().lower()] or _called(name)
        if len(same) > 1:
            titles = sorted((_recipes()[one].title for one in same), key=_by_use)[:MAX_OPTIONS]
            raise Ambiguous(f"Several indices could be meant by {name.strip()[:80]!r}.", options=tuple(titles))
        if not same:
            raise _unknown(name)
        found = same[0]
    return _recipes()[found]


@cache
def recipe_ids() -> dict[str, str]:
    """Give the id of each index that can be computed, by its short name as spelt and by its id."""
    recipes = _recipes()
    return {**{one.title: one.id for one in recipes.values()}, **{one: one for one in recipes}}


def long_names() -> dict[str, str]:
    """Give the long name of each index that can be computed, by id."""
    return {one.id: one.long_name for one in _recipes().values()}


def find_band(layers: Layers, symbol: str) -> Layer | None:
    """Return the band of a collection that a symbol stands for."""
    if symbol in RADAR:
        return next((band for band in layers.bands if band.name.upper() == symbol), None)
    if found := layers.find(common_name(symbol)):
        return found
    for other in OTHER_NAMES.get(symbol, ()):
        if other != "rededge":
            if found := layers.find(other):
                return found
            continue
        # The three red edges share a name, so that of the band itself must tell: B05, B05_20m, B5.
        named = (one for one in layers.bands if one.common_name == other and _plain_name(one.name) == _sentinel(symbol))
        if found := min(named, key=lambda one: (one.gsd_m or 0.0, one.name), default=None):
            return found
    return None


def missing_bands(recipe: Recipe, layers: Layers) -> tuple[str, ...]:
    """Return the common names of the bands that a recipe needs and a collection lacks."""
    return tuple(common_name(symbol) for symbol in recipe.needs if find_band(layers, symbol) is None)


def used_layers(recipe: Recipe, layers: Layers) -> list[Layer]:
    """Return the bands the recipe reads from a collection, in the order of `needs`."""
    found = [band for symbol in recipe.needs if (band := find_band(layers, symbol))]
    if len(found) < len(recipe.needs):
        raise lacking(recipe, layers)
    return found


def lacking(recipe: Recipe, layers: Layers) -> ToolInputError:
    """Tell which bands are missing for an index and which indices the collection allows."""
    missing = " and ".join(missing_bands(recipe, layers))
    has = ", ".join(sorted({band.common_name for band in layers.bands if band.common_name})) or "no named bands"
    titles = possible(layers)
    rest = f" and {len(titles) - MAX_NAMED} more" if len(titles) > MAX_NAMED else ""
    hint = f"Possible with it: {', '.join(titles[:MAX_NAMED])}{rest}." if titles else "Choose another collection."
    return ToolInputError(
        f"{recipe.title} ({recipe.long_name}) needs {missing}, which the collection {layers.collection_id} lacks: "
        f"it has {has}.",
        hint,
    )


def possible(layers: Layers) -> list[str]:
    """Return the short names of the indices whose bands a collection has, the usual ones first."""
    return sorted((one.title for one in _recipes().values() if not missing_bands(one, layers)), key=_by_use)


def _by_use(title: str) -> tuple[int, str]:
    """Sort the usual indices first."""
    usual = _reading()["usual"]
    return usual.index(title) if title in usual else len(usual), title


def _called(words: str) -> list[str]:
    """Give the ids of the indices whose long name has all the words, at least one beside "index"."""
    from knowledge.words import stems

    asked = {*stems(words)} - {"index"}
    return [key for key, one in _recipes().items() if asked and asked <= {*stems(one.long_name)}]


def check_units(recipe: Recipe, layers: Layers) -> None:
    """Refuse an index that needs reflectances between 0 and 1 where whole numbers without a scale are stored.

    Raises:
        ToolInputError: The values would be far off; an index that is a plain ratio has no such limit.
    """
    bare = [one.name for one in used_layers(recipe, layers) if one.scale is None and one.whole_numbers]
    if bare and (needs_reflectance(recipe) or set(recipe.needs) & set(RADAR)):
        raise ToolInputError(
            f"{recipe.title} needs {recipe.wants}, but {layers.collection_id} stores whole numbers and "
            f"publishes no scale for {', '.join(bare)}.",
            "Add scale and offset to the collection, or ask for a ratio such as NDVI.",
        )


def needs_reflectance(recipe: Recipe) -> bool:
    """Tell whether an index has another value where reflectances come in other units than 0 to 1."""
    return formulas.depends_on_scale(formulas.parse(recipe.formula), recipe.constants, frozenset(recipe.needs))


def common_name(symbol: str) -> str:
    """Give the common name of a band symbol: R is red; polarisations are called as they are."""
    return symbol if symbol in RADAR else str(_bands()[symbol].common_name)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe of one's own from a YAML file.

    Raises:
        ToolInputError: The file lacks something, or its formula is more than arithmetic on bands and constants.
    """
    import yaml

    try:
        own = _OwnRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else "it is no YAML"
        raise ToolInputError(
            f"The recipe {path.name} cannot be read: {reason}.", "See docs/add-a-recipe.md."
        ) from error
    unknown = formulas.names_in(formulas.parse(own.formula)) - {*SYMBOLS, *RADAR} - set(own.constants)
    if unknown:
        raise ToolInputError(
            f"The recipe {path.name} uses {', '.join(sorted(unknown))}, which is no band and no constant.",
            f"Bands: {', '.join((*SYMBOLS, *RADAR))}.",
        )
    return Recipe(
        id=own.title.lower(), subject=f"{own.title} {own.long_name}", note="set in the recipe", **own.model_dump()
    )


def needs_beyond(title: str) -> tuple[str, ...]:
    """Name what a published index takes that is no reflectance, no radar and no constant with a value."""
    import spyndex

    if title not in spyndex.indices:
        return ()
    symbols = [one for one in spyndex.indices[title].bands if one not in (*SYMBOLS, *RADAR) and _default(one) is None]
    known = {**spyndex.bands, **spyndex.constants}
    return tuple(str(known[one].long_name) if one in known else one for one in symbols)


def _unknown(name: str) -> ToolInputError:
    from difflib import get_close_matches

    if beyond := needs_beyond(name.strip()):
        return ToolInputError(
            f"{name.strip()} needs {' and '.join(beyond)}, which no collection gives here.",
            "Ask for an index of reflectances or radar, such as NDVI.",
        )
    titles = [one.title for one in _recipes().values()]
    by_case = {title.lower(): title for title in titles}
    near = [by_case[one] for one in get_close_matches(name.strip().lower(), by_case, n=3)]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known are {len(titles)}, for example NDVI, EVI and NDWI."
    return ToolInputError(f"There is no index called {name[:40]!r}.", hint)


@cache
def _recipes() -> dict[str, Recipe]:
    """Give all recipes by id; a recipe of one's own takes the place of one of the same name."""
    import spyndex

    table = spyndex.indices
    lower = [title.lower() for title in table]
    found = {}
    for title, index in table.items():
        constants = {name: _default(name) for name in index.bands if name not in (*SYMBOLS, *RADAR)}
        if any(value is None for value in constants.values()):
            continue
        key = title.lower() if lower.count(title.lower()) == 1 else title
        found[key] = _published(key, index, {name: value for name, value in constants.items() if value is not None})
    own = [read_recipe(path) for path in sorted((FOLDER / "own").glob("*.yaml"))]
    return {**found, **{one.id: one for one in own}}


def _published(key: str, index: Any, constants: dict[str, float]) -> Recipe:
    """Make the recipe of an index in spyndex, with what is known of how to read it."""
    title, known = str(index.short_name), _reading()["indices"].get(index.short_name, {})
    group: dict[str, Any] = next((one for one in _reading()["groups"].values() if title in one["indices"]), {})
    domain = f"{title} is an index of {index.application_domain} on a scale of its own: compare it with itself only."
    tree, bands = formulas.parse(index.formula), frozenset(index.bands) & {*SYMBOLS, *RADAR}
    valid = (-1.0, 1.0) if formulas.is_normalised_difference(tree, bands) else None
    bound = WAVELENGTHS if any(name.startswith(WAVELENGTH) for name in constants) else ""
    cautions = (group.get("caution", ""), known.get("caution", ""), bound)
    return Recipe(
        id=key,
        title=title,
        long_name=str(index.long_name),
        formula=str(index.formula),
        constants={**constants, **known.get("constants", {})},
        note=known.get("note", "") or (bound and "central wavelengths of Sentinel-2A as spyndex has them"),
        reference=str(index.reference),
        value_range=known.get("value_range") or valid,
        valid_range=valid,
        colormap=group.get("colormap", "viridis"),
        reading=known.get("reading") or group.get("reading", domain).format(title=title),
        caution=" ".join(caution for caution in cautions if caution),
        subject=known.get("subject") or f"{title} {index.long_name}",
    )


def _default(name: str) -> float | None:
    """Give the library's default of a constant; None for heat bands, and for what has no default."""
    import spyndex

    if name.startswith(WAVELENGTH):
        return float(spyndex.bands[name.removeprefix(WAVELENGTH)].sentinel2a.wavelength)
    value = spyndex.constants[name].default if name in spyndex.constants else None
    return None if value is None else float(value)


@cache
def _bands() -> Any:
    import spyndex

    return spyndex.bands


def _sentinel(symbol: str) -> str:
    return str(_bands()[symbol].sentinel2a.band)


def _plain_name(name: str) -> str:
    """Bring a band's name to the form spyndex has for Sentinel-2: `B05_20m` is B5."""
    return name.split("_", maxsplit=1)[0].upper().replace("B0", "B")


@cache
def _reading() -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load((FOLDER / "reading.yaml").read_text(encoding="utf-8"))
    return found


def all_recipes() -> Sequence[Recipe]:
    """Return every recipe."""
    return tuple(_recipes().values())
