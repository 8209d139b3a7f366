"""Suites: what to run. ``agile-bench run NAME`` runs one; copy a file to make your own."""

if __name__ == "benchmarks":
    raise ImportError("import agile_bench.benchmarks, not benchmarks")
