"""The commands on places: which are here, and fetching the communes ahead for a machine without a network."""

import click

from ui.command import load_settings, note, told_plainly


@click.group()
def places() -> None:
    """Look at the places known here, and fetch the boundaries of communes ahead."""


@places.command("list")
@told_plainly
def places_list() -> None:
    """Tell what is bundled, what is kept on disk, and what may be fetched."""
    from assistant.setup import nuts_source
    from tools.places import place_sources

    click.echo("\n".join(place_sources(nuts_source(load_settings()))))


@places.command("fetch")
@click.option("--country", "countries", multiple=True, help="Keep only this country (FR); may be given several times.")
@told_plainly
def places_fetch(countries: tuple[str, ...]) -> None:
    """Fetch the communes (LAU) of Europe from GISCO, once; a second run asks whether there is a newer file.

    The whole file is large. With --country, only a small file of each country is kept, to carry to another machine:
    put it in the folder `nuts/lau` of the data folder there.
    """
    from dataclasses import replace

    from assistant.setup import nuts_source
    from tools.lau import LAU_SOURCE, LAU_URL, fetch_communes, keep_countries

    source = replace(nuts_source(load_settings()), lau_url=LAU_URL)
    note(f"Fetching from {LAU_URL} …")
    for path in keep_countries(source, countries) if countries else [fetch_communes(source)]:
        click.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB). Source: {LAU_SOURCE}")
