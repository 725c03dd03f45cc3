"""`dlcodegen evaluate human`: rating sheets for people, and what came back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.score_tables import Shown, deliver
from dlcodegen_local.durable import write_folder
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.evaluation.human_scores import HumanReport

_SHOWN = 10  # discrepancies; --json has all
_PATH = click.Path(path_type=Path)


@click.group("human")
def command() -> None:
    """Have people rate generated code: compliance, helpfulness, idiomaticity, 0 to 10."""


@command.command("export")
@click.option(
    "--predictions",
    type=_PATH,
    multiple=True,
    required=True,
    help="JSON lines of id and code or output, or a folder of ID.py. Give it again for each further system.",
)
@click.option(
    "--references",
    type=_PATH,
    required=True,
    help="JSON lines of id, requirement and perhaps dataset_attributes.",
)
@click.option("-o", "--output", type=_PATH, required=True, help="The folder to write, new or empty.")
@click.option("--items", type=click.IntRange(min=1), help="How many items, drawn at random.  [default: all]")
@click.option("--raters", type=click.IntRange(1, 99), default=2, show_default=True, help="How many sheets.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the shuffling.")
@options.json_flag
def export_command(
    predictions: tuple[Path, ...], references: Path, output: Path, items: int | None, **flags: int
) -> None:
    """Write blinded rating sheets: the systems are shuffled anew for each item.

    Give the folder for-raters away: a sheet for each rater's spreadsheet, and form.html for the browser, of
    which one does for all. Keep key.json: it says who wrote what.
    """
    from dlcodegen_local.evaluation.human_sheets import KEY_FILE, RATERS_FOLDER, long_codes, study_files
    from dlcodegen_local.evaluation.human_study import make_study

    study = make_study(predictions, references, items, flags["seed"])
    files = study_files(study, flags["raters"])
    write_folder(output, files)
    for note in study.notes:
        options.print_note(f"note: {note}")
    if cut := long_codes(study):
        options.print_note(f"note: {cut} codes are longer than a spreadsheet's cell: rate them in the form")
    codes = sum(len(item.codes) for item in study.items)
    if flags["json"]:
        written = {"folder": str(output), "study": study.name, "files": sorted(files)}
        options.print_json({**written, "items": len(study.items), "codes": codes, "notes": list(study.notes)})
        return
    folder = click.format_filename(output)
    click.echo(f"{codes} codes of {len(study.items)} items, {flags['raters']} sheets and a form")
    click.echo(f"for the raters: {folder}/{RATERS_FOLDER}")
    click.echo(f"to be kept from them: {folder}/{KEY_FILE}")


@command.command("import")
@click.argument("folder", type=_PATH)
@click.argument("sheets", type=_PATH, nargs=-1, metavar="SHEET.csv...")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("-o", "--output", type=_PATH, help="Write the result as JSON to a file.")
@options.json_flag
def import_command(
    folder: Path, sheets: tuple[Path, ...], seed: int, output: Path | None, **flags: bool
) -> None:
    """Read the SHEETs that came back for the exported FOLDER.

    Each system's mean by criterion with its 95% interval, the agreement between raters (Krippendorff's
    alpha), and the codes on which they disagree most, first.
    """
    from dlcodegen_local.evaluation.human_criteria import CRITERIA
    from dlcodegen_local.evaluation.human_scores import SCORE_SIGNATURE, report_ratings
    from dlcodegen_local.evaluation.human_sheets import KEY_FILE

    if not sheets:
        raise ConfigError("no sheet is given", hint="dlcodegen evaluate human import FOLDER SHEET.csv ...")
    if output is not None and output.resolve() in {path.resolve() for path in (folder / KEY_FILE, *sheets)}:
        raise ConfigError(f"{output} is one of the files to be read", hint="name another output file")
    report = report_ratings(folder, sheets, seed)
    shown = [Shown(criterion.name, criterion.title, True, 2, SCORE_SIGNATURE) for criterion in CRITERIA]
    deliver(report, report.systems, shown, output, as_json=flags["json"])
    if not flags["json"]:
        _print_agreement(report)


def _print_agreement(report: "HumanReport") -> None:
    click.echo("\nagreement between raters (Krippendorff's alpha, interval metric)")
    for name, found in report.agreement.items():
        alpha = f"undefined: {found.reason}" if found.alpha is None else f"{found.alpha:.3f}"
        click.echo(f"  {name:<13} {alpha}  ({found.units} codes rated by two or more)")
    apart = [unit for unit in report.units if unit.spread > 0]
    if apart:
        click.echo("\ncodes on which the raters are farthest apart")
    for unit in apart[:_SHOWN]:
        click.echo(f"  {plain(unit.code)}  {plain(unit.item)}  {plain(unit.system)}")
        for name, said in unit.scores.items():
            if len(said) > 1:
                scores = ", ".join(f"{plain(rater)} {score:g}" for rater, score in said.items())
                click.echo(f"    {name:<13} {scores}")
    if (more := len(apart) - _SHOWN) > 0:
        click.echo(f"  and {more} more: --json names them")
