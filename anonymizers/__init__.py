"""Anonymizers, one method per file; the file's name is the plugin's name (``_`` read as ``-``).

To write one, add a file beside this one with a single public subclass of `agile_bench.api.Anonymizer`:

    from agile_bench.api import Anonymizer, Beats, Context, Field, Release, State

    class Gain(Anonymizer):
        '''Multiply every beat by a random gain of its record.'''

        spread: float = Field(default=0.2, gt=0, lt=1, description="standard deviation of the gain")

        def release(self, state: State, beats: Beats, ctx: Context) -> Release:
            gain = ctx.rng("gain").normal(1, self.spread)
            return Release(signal=(beats.signal * gain).astype("float32"))

It is listed, run and tested at once. `release` is called for one record at a time; all its randomness comes from
`ctx.rng`, whose label holds the key. Declare in class variables what it `learns`, `reads` and `keeps`.
"""

if __name__ == "anonymizers":
    raise ImportError("import agile_bench.anonymizers, not anonymizers: a second copy of every class would be made")
