"""`bench compare`: from parsed arguments to what is printed and written."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from bench.compare import plain_forms
from bench.compare.axes import choose
from bench.compare.comparison import compare_runs
from bench.compare.inputs import find, load
from bench.compare.profiles import load_profile


def compare(arguments: argparse.Namespace) -> int:
    """Compare, print, and write the page asked for; the exit status, always 0."""
    warnings.filterwarnings("ignore")  # third parties' deprecations say nothing to a user
    profile = load_profile(arguments.profile) if arguments.profile else None
    axes = choose([name.strip() for name in arguments.axes.split(",") if name.strip()])
    folders = find(arguments.results, Path(arguments.runs), arguments.suite)
    runs, names, notes = load(folders)
    comparison = compare_runs(runs, names, axes, profile, notes)
    if arguments.html:
        from bench.compare.page import write_page

        write_page(comparison, Path(arguments.html))
    if arguments.form:
        sys.stdout.write(plain_forms.FORMS[arguments.form](comparison))
        return 0
    from bench.compare.terminal import show

    show(comparison, everything=arguments.all)
    if arguments.html:
        print(f"Page: {arguments.html}")
    return 0
