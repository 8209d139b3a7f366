"""Identity and attribute attackers, one per file; the file's name is the plugin's name (``_`` read as ``-``).

To write one, add a file beside this one with a single public subclass of `agile_bench.api.Attacker`:

    import numpy as np
    from agile_bench.api import Array, Attacker, Beats, Context, State

    class Nearest(Attacker):
        '''Cosine of a beat to each person's mean beat.'''

        def fit(self, pool: Beats, ctx: Context) -> State:
            return {"mean": pool.signal.mean(axis=0)}

        def embed(self, state: State, beats: Beats, ctx: Context) -> Array:
            return beats.signal - state["mean"]

It is listed, run and tested at once. With `embed` alone, people are enrolled as mean embeddings and scored by cosine;
define `enrol` and `score` for anything else. Column j of the scores is gallery code j, and higher means more alike.
At the levels where the attacker holds an anonymizer (``ctx.oracle``), ask it for other draws of the pool or gallery.
"""

if __name__ == "attackers":
    raise ImportError("import agile_bench.attackers, not attackers: a second copy of every class would be made")
