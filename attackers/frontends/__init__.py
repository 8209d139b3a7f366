"""Front-ends of attackers, one per file; ``svd+lowpass`` puts ``lowpass`` in front of ``svd``.

To write one, add a file beside this one with a single public subclass of `agile_bench.api.FrontEnd`:

    import numpy as np
    from agile_bench.api import Beats, Context, Field, FrontEnd, State

    class Smooth(FrontEnd):
        '''Running mean over neighbouring samples.'''

        samples: int = Field(5, ge=1, le=25, description="length of the mean, samples at 250 Hz")

        def apply(self, state: State, beats: Beats, ctx: Context) -> Beats:
            kernel = np.full(self.samples, 1 / self.samples)
            smooth = np.apply_along_axis(np.convolve, 1, beats.signal, kernel, mode="same")
            return beats.with_signal(smooth.astype("float32"))

Pool, gallery and probes all pass through it, so that an attacker never meets a transformation unprepared. What has to
be learnt comes from the attacker's own pool, in `fit`.
"""

if __name__ == "attackers.frontends":
    raise ImportError("import agile_bench.attackers.frontends, not attackers.frontends: classes would exist twice")
