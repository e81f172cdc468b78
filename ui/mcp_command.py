"""The command that speaks MCP over standard input and output, for chat programs that start it themselves."""

import click

from ui.command import load_settings, note, told_plainly


@click.command("mcp")
@told_plainly
def mcp() -> None:
    """Serve the tools over MCP on standard input and output; `serve` has them at /mcp."""
    from assistant.agent import Assistant
    from ui.mcp_api import create_mcp_server

    assistant = Assistant(load_settings())
    assistant.prepare(note)
    try:
        create_mcp_server(assistant).run("stdio")
    finally:
        assistant.close()
