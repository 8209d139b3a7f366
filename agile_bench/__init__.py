"""agile-bench: every ECG anonymizer against every identity attacker, on real recordings."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("agile-bench")
except PackageNotFoundError:  # a bare source tree that was never installed
    __version__ = "0+unknown"
