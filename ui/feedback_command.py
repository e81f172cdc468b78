"""The command group `feedback`: what users said, by country and product."""

import csv
import sys

import click

from ui.command import load_settings, told_plainly


@click.group()
def feedback() -> None:
    """Read what users said of answers."""


@feedback.command("report")
@click.option("--format", "kind", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@told_plainly
def feedback_report(kind: str) -> None:
    """Count ratings by country and product, most bad ones first; csv and json give each rating with its comment."""
    from assistant.feedback import FeedbackStore, report

    given = FeedbackStore(load_settings().database).all()
    if kind == "json":
        click.echo("[" + ",\n".join(one.model_dump_json() for one in given) + "]")
    elif kind == "csv":
        names = ("given_at", "country", "product_id", "rating", "reasons", "comment", "session_id", "turn")
        rows = [{**one.model_dump(mode="json", include=set(names)), "reasons": " ".join(one.reasons)} for one in given]
        sheet = csv.DictWriter(sys.stdout, names)
        sheet.writeheader()
        sheet.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    elif not given:
        click.echo("No feedback yet.")
    else:
        click.echo(f"{'country':<8}{'product':<44}{'up':>5}{'down':>6}  the bad ones were about")
        for row in report(given):
            reasons = ", ".join(f"{reason} {count}" for reason, count in row.down_reasons.items())
            line = f"{row.country or '-':<8}{row.product_id or '-':<44}{row.up:>5}{row.down:>6}  {reasons}"
            click.echo(line.rstrip())


def _cell(value: object) -> object:
    """Keep a spreadsheet from reading a user's words as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
