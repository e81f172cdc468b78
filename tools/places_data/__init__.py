"""The bundled gazetteer, and the script that made it."""
