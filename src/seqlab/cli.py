"""The `seqlab` command. Imports nothing heavy before it knows what is asked."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from seqlab.command import SCRIPT
from seqlab.errors import InputError
from seqlab.escaping import one_line

FORMATS = ("markdown", "csv", "latex", "html")
COMPARE = """Tables and plots over any run and sweep folders: means over seeds with their intervals,
the differences that are more than noise, the best configuration and the command that runs it."""
EXAMPLES = """
  seqlab compare outputs/sweeps/…                    a sweep
  seqlab compare outputs --by model,data             all runs, told apart by model and data
  seqlab compare A B --metric val/loss --against all each with each
  seqlab compare outputs --output report             documents and plots into a folder
  seqlab compare outputs --format latex > table.tex  one document to the screen
"""


class _Parser(argparse.ArgumentParser):
    """Tells an error in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {one_line(message)}; see {self.prog} --help", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command; what a user can cause ends in one line and exit status 2."""
    parser = _parser()
    words = sys.argv[1:] if words is None else words
    if not words:
        parser.print_help()
        return
    try:
        if words[0] == "train":
            train(words[1:])
        else:
            compare(parser.parse_args(words))
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def train(words: Sequence[str]) -> None:
    """`seqlab train`: the words are Hydra's."""
    from seqlab.runs.main import command

    sys.argv = [str(SCRIPT), *words]
    # Lightning starts a run's further processes as it finds this one to be started.
    sys.modules["__main__"].__spec__ = None
    command()


def compare(arguments: argparse.Namespace) -> None:
    """`seqlab compare`: prints a comparison, or writes it into a folder."""
    kinds = _listed(arguments.format)
    for kind in kinds:
        if kind not in FORMATS:
            raise InputError(f"--format {kind} is unknown; use {', '.join(FORMATS)}")
    if len(kinds) > 1 and arguments.output is None:
        raise InputError("--format with several formats needs --output DIR to write them into")

    from seqlab.reports import compare as reports

    found = reports.compare_folders(
        [Path(folder) for folder in arguments.folders],
        by=_listed(arguments.by),
        metrics=_listed(arguments.metric),
        against=arguments.against,
    )
    if arguments.output is not None:
        reports.write(found, Path(arguments.output), kinds or FORMATS)
    elif kinds:
        print(reports.text(found, kinds[0]), end="")  # noqa: T201
    else:
        reports.show(found)


def _listed(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="seqlab", description="Trains sequence models, and compares runs.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    commands.add_parser(
        "train", help="one run, or with -m a sweep; `seqlab train --help` shows what can be chosen"
    )
    command = commands.add_parser(
        "compare",
        help="tables and plots over many runs",
        description=COMPARE,
        epilog=f"examples:{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folders", nargs="+", metavar="FOLDER", help="a run, a sweep, or above")
    command.add_argument(
        "--by",
        metavar="KEYS",
        help="what tells configurations apart: keys or config groups, such as model,optimizer.lr; "
        "the runs of one are averaged over all else (default: all keys that differ, but the seed)",
    )
    command.add_argument(
        "--metric", metavar="NAMES", help="such as test/accuracy (default: each data's own)"
    )
    command.add_argument(
        "--against",
        default="best",
        metavar="WHAT",
        help="best: each configuration with the best (default); all: each with each; or a "
        "configuration such as model=gru",
    )
    command.add_argument("--format", metavar="NAMES", help=f"{', '.join(FORMATS)} (default: all)")
    command.add_argument("--output", metavar="DIR", help="writes documents and plots into DIR")
    return parser


if __name__ == "__main__":
    main()
