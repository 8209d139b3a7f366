"""Reports: a run folder as leaderboards on the terminal, in Markdown and as CSV, without torch or scipy."""

from agile_bench.reports.boards import boards
from agile_bench.reports.frame import Run, load
from agile_bench.reports.tables import Table
from agile_bench.reports.terminal import print_run
from agile_bench.reports.text import write_text

__all__ = ["Run", "Table", "boards", "load", "print_run", "write_text"]
