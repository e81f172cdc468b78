"""The files of a feature stack: CF netCDF, Zarr or GeoTIFF, the table of its layers, graph and provenance."""

import csv
import inspect
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import JobFailed
from tools.export import data_word, safe_cell, synthetic_note, write_graph
from tools.export_code import CONNECT, literals
from tools.feature_stack import Format, StackWork, Variable
from tools.schema import Artifact, Period
from tools.zarr_zip import write_zarr

if TYPE_CHECKING:
    from tools.toolbox import Services

MEDIA: dict[Format, tuple[str, str, str]] = {
    "netcdf": ("netCDF", "application/x-netcdf", ".nc"),
    "geotiff": ("GeoTIFF", "image/tiff", ".tif"),
    "zarr": ("Zarr", "application/zip", ".zarr.zip"),
}
_PACKAGES = "openeo xarray h5netcdf"
_AGAIN = '''def stack_again(connection: Any, path: str) -> xr.Dataset:
    """Make the stack, save it as netCDF, and compare the valid pixels of each layer with those of the first run."""
    connection.download(GRAPH, path)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        stack = found.sortby("t" if "t" in found.dims else []).load()
    print(TITLE)
    if NOTE:
        print(NOTE)
    print(stack)
    valid = {name: stack[name].notnull().sum(("y", "x")).values.reshape(-1).tolist() for name in EXPECTED}
    far = [name for name, counts in EXPECTED.items() if valid[name] != counts]
    layers = sum(map(len, EXPECTED.values()))
    print(f"Different from the first run: {', '.join(far)}." if far else f"Same as the first run: all {layers} layers.")
    return stack'''
_MAIN = """if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("--url", default=URL, help="openEO service to run on (default: %(default)s)")
    parser.add_argument("--login", action="store_true", help="log in with OpenID Connect first, where needed")
    options = parser.parse_args()
    stack = stack_again(connect(options.url, login=options.login), "stack.nc")
"""
_SAVE_ZARR = 'write_zarr(stack, "stack.zarr.zip")'


@dataclass(frozen=True)
class StackData:
    """What the back-end made: one array for each variable, all on the same dates and pixels."""

    dataset: Any
    """xarray Dataset with the dimensions time, y and x, and its reference system in `.rio`."""
    names: tuple[str, ...]
    composite_of: Period | None = None
    """Of a composite, the period whose median it is."""

    @classmethod
    def read(cls, path: Path, variables: Sequence[Variable], *, composite_of: Period | None = None) -> "StackData":
        """Read a back-end's netCDF file into memory; a composite gets the first day of its period as its date.

        Raises:
            JobFailed: It lacks a variable, the dates or the reference system.
        """
        import numpy as np
        import rioxarray  # noqa: F401  # registers the accessor .rio
        import xarray as xr

        names = tuple(one.name for one in variables)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            first = np.datetime64(composite_of.start, "ns") if composite_of else None
            found = opened.expand_dims(t=[first]) if composite_of else opened
            lacking = [name for name in names if name not in found or set(found[name].dims) != {"t", "y", "x"}]
            crs = next((one.attrs["crs_wkt"] for one in found.variables.values() if "crs_wkt" in one.attrs), None)
            if lacking or crs is None:
                what = f"without {', '.join(lacking)}" if lacking else "without a reference system"
                raise JobFailed(f"The back-end answered a netCDF file {what}.", "Run the computation again.")
            whole = found[list(names)].transpose("t", "y", "x").sortby("t").load().astype("float32")
        whole = whole.rename({"t": "time"}).drop_attrs().drop_encoding()
        whole = whole.drop_vars([one for one in whole.coords if one not in whole.dims]).rio.write_crs(crs)
        return cls(whole, names, composite_of)

    @property
    def dates(self) -> tuple[str, ...]:
        """The dates in order, as YYYY-MM-DD; of a composite its period, START/END."""
        if self.composite_of:
            return (f"{self.composite_of.start}/{self.composite_of.end}",)
        return tuple(str(one)[:10] for one in self.dataset["time"].values)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dataset.sizes["y"], self.dataset.sizes["x"]

    def describe(self) -> dict[str, Any]:
        """Give what is told of the stack, JSON-able: dates, grid and share of valid values."""
        rows, columns = self.shape
        grid = {"rows": rows, "columns": columns, "pixel": self.pixel_words, "crs": self.crs_name}
        return {"dates": list(self.dates), **grid, "valid_share": self.valid_share}

    @property
    def valid_share(self) -> float:
        """Share of the values that are there, 0 to 1."""
        return sum(float(self.dataset[name].notnull().mean()) for name in self.names) / len(self.names)

    @property
    def crs_name(self) -> str:
        """Code of the reference system, or its name."""
        crs = self.dataset.rio.crs
        return f"EPSG:{crs.to_epsg()}" if crs.to_epsg() else str(crs.to_dict().get("proj", "no code"))

    @property
    def pixel_words(self) -> str:
        """Width of a pixel with its unit."""
        unit = "degrees" if self.dataset.rio.crs.is_geographic else "m"
        return f"{abs(float(self.dataset.rio.resolution()[0])):g} {unit}"


def write_stack(services: "Services", work: StackWork, data: StackData, format_name: Format) -> tuple[Artifact, ...]:
    """Write the stack and the files that say what it is."""
    from tools.records import write_records

    workspace, prepared = services.workspace, work.prepared
    plan, (name, media_type, suffix) = prepared.plan, MEDIA[format_name]
    title = f"feature stack, {plan.place.name}, {plan.period.label}"
    with workspace.new("raster", f"{name}: {title}", media_type, suffix, plan.fingerprint) as draft:
        WRITERS[format_name](draft.path, work, data)
    note = synthetic_note(scenes=prepared.synthetic, units=False)
    named = f"openEO process graph (gives a netCDF file): {title}"
    graph = write_graph(workspace, work.graph, plan, title=named, note=note)
    table = workspace.save(
        layer_table(work, data), "table", f"Layers: {title}", media_type="text/csv", suffix=".csv",
        fingerprint=plan.fingerprint,
    )  # fmt: skip
    made: tuple[Artifact, ...] = (
        draft.artifact,
        table,
        graph,
        *write_stack_code(services, work, data, title=title, note=note, as_zarr=format_name == "zarr"),
    )
    if data.composite_of and format_name == "geotiff":
        made = (*_true_colour(services, work, data, Path(draft.artifact.path)), *made)
    return (*made, *write_records(services, prepared, "", made))


def _true_colour(services: "Services", work: StackWork, data: StackData, raster: Path) -> list[Artifact]:
    """Draw the stack as a satellite image where it holds red, green and blue."""
    from tools.render import render_true_colour
    from tools.run_files import source_line

    prepared = work.prepared
    wanted = [prepared.layers.find(colour) for colour in ("red", "green", "blue")]
    bands = tuple(data.names.index(one.name) + 1 for one in wanted if one and one.name in data.names)
    if len(bands) < 3:
        return []
    plan, source = prepared.plan, source_line(prepared)
    title = f"True colour, {plan.place.name}, {plan.period.label}"
    about: dict[str, Any] = {"bands": bands, "title": title, "synthetic": prepared.synthetic, "source": source}
    return [render_true_colour(services.workspace, raster, plan, **about)]


def write_netcdf(path: Path, work: StackWork, data: StackData) -> None:
    """Write a CF-1.8 file: one variable for each band and index, with units, dates, reference system and no-data."""
    fill = {"_FillValue": float("nan"), "grid_mapping": "spatial_ref"}
    packed: dict[str, dict[str, Any]] = {name: {"zlib": True, "complevel": 4, **fill} for name in data.names}
    packed["time"] = {"units": "days since 1970-01-01", "dtype": "int32", "_FillValue": None}
    _described(work, data).to_netcdf(path, engine="h5netcdf", encoding=packed)


def write_zarr_stack(path: Path, work: StackWork, data: StackData) -> None:
    """Write the same as Zarr, in one ZIP file."""
    write_zarr(_described(work, data), path)


def _described(work: StackWork, data: StackData) -> Any:
    """Give the dataset with what CF wants to be told."""
    from tools.run_files import source_line

    dataset = data.dataset.rio.write_coordinate_system()
    for one in work.variables:
        about = {"long_name": one.long_name, "units": one.unit, "comment": one.comment}
        about["cell_methods"] = "time: median" if data.composite_of else ""
        dataset[one.name].attrs.update({key: text for key, text in about.items() if text})
    day = "first day of the period of the median" if data.composite_of else "day of acquisition (UTC)"
    dataset["time"].attrs.update({"standard_name": "time", "long_name": day, "axis": "T"})
    dataset.attrs.update(
        {
            "Conventions": "CF-1.8",
            "title": f"Feature stack, {work.prepared.plan.place.name}, {work.prepared.plan.period.label}",
            "source": source_line(work.prepared),
            "comment": f"{data_word(work.prepared.synthetic)}; NaN is no data",
        }
    )
    return dataset


def write_geotiff(path: Path, work: StackWork, data: StackData) -> None:
    """Write one layer for each date and variable, named `DATE NAME`, the dates first."""
    import rasterio

    (rows, columns), names = data.shape, data.names
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": len(data.dates) * len(names), "dtype": "float32",
        "nodata": float("nan"), "crs": data.dataset.rio.crs, "transform": data.dataset.rio.transform(),
        "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256, "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.update_tags(data=data_word(work.prepared.synthetic))
        for place, (number, name) in enumerate(_layers(data), 1):
            raster.write(data.dataset[name].isel(time=number).values, place)
            raster.set_band_description(place, f"{data.dates[number]} {name}")
            raster.update_tags(place, date=data.dates[number], name=name)


def layer_table(work: StackWork, data: StackData) -> str:
    """Give the table of the layers in the order of the GeoTIFF: number, name, date, meaning and valid pixels."""
    buffer, (rows, columns) = io.StringIO(), data.shape
    about = {one.name: one for one in work.variables}
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("layer", "name", "date", "long_name", "unit", "comment", "valid_pixels", "total_pixels", "data"))
    word = data_word(work.prepared.synthetic)
    for place, (number, name) in enumerate(_layers(data), 1):
        valid = int(data.dataset[name].isel(time=number).notnull().sum())
        told = (safe_cell(about[name].long_name), about[name].unit, safe_cell(about[name].comment))
        writer.writerow((place, safe_cell(name), data.dates[number], *told, valid, rows * columns, word))
    return buffer.getvalue()


def write_stack_code(
    services: "Services", work: StackWork, data: StackData, *, title: str, note: str, as_zarr: bool = False
) -> tuple[Artifact, Artifact]:
    """Write the script and the notebook that make the stack again and compare the valid pixels of each layer."""
    from tools.classify_files import notebook_text

    values: dict[str, object] = {
        "TITLE": title,
        "NOTE": note,
        "GRAPH": work.graph,
        "EXPECTED": {name: [int(one) for one in data.dataset[name].notnull().sum(("y", "x"))] for name in data.names},
    }
    constants = literals(services.rerun_url or services.openeo_url, values)
    packages, more, functions, save = _PACKAGES, "", _AGAIN, ""
    if as_zarr:
        packages, more = f"{packages} zarr", "import tempfile\nimport zipfile\nfrom pathlib import Path\n"
        functions, save = f"{_AGAIN}\n\n\n{inspect.getsource(write_zarr).rstrip()}", _SAVE_ZARR
    imports = f"import argparse\nimport os\n{more}from typing import Any\n\nimport openeo\nimport xarray as xr"
    about = f'"""Make a feature stack of CLMS Assistant again. Needs: pip install {packages}.\n\n{note}\n"""'
    main = f"{_MAIN}    {save}\n" if save else _MAIN
    source = f"{about}\n\n{imports}\n\n{constants}\n\n\n{CONNECT}\n\n\n{functions}\n\n\n{main}"
    intro = f"# Make this feature stack again\n\n{note}\n\nNeeds: `pip install {packages}`."
    run = f'stack = stack_again(connect(URL), "stack.nc")\n{save}'.rstrip()
    notebook = notebook_text(intro, f"{imports}\n\n{constants}", CONNECT, functions, run)
    workspace, fingerprint = services.workspace, work.prepared.plan.fingerprint
    return (
        workspace.save(
            source, "script", f"Python script: {title}", media_type="text/x-python", suffix=".py",
            fingerprint=fingerprint,
        ),
        workspace.save(
            notebook, "notebook", f"Notebook: {title}", media_type="application/x-ipynb+json", suffix=".ipynb",
            fingerprint=fingerprint,
        ),
    )  # fmt: skip


WRITERS = {"netcdf": write_netcdf, "geotiff": write_geotiff, "zarr": write_zarr_stack}


def _layers(data: StackData) -> list[tuple[int, str]]:
    return [(number, name) for number in range(len(data.dates)) for name in data.names]
