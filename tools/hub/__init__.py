"""The embedded hub: a STAC API and an openEO API over a local archive, on loopback."""
