"""``python -m agile_bench``."""

from agile_bench.cli.main import entry

if __name__ == "__main__":
    entry()
