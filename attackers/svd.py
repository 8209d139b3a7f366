"""Eigen-beats: the floor that every anonymizer must beat."""

from typing import ClassVar, Literal

import numpy as np

from agile_bench.api import Array, Attacker, Beats, Context, Field, State, unit_rows
from agile_bench.nn.beats import FLAT, other_draws, z_score
from agile_bench.nn.lda import fit_lda, log_posterior

WHITENING_RIDGE = 1e-3


class Svd(Attacker):
    """Coefficients on the leading singular vectors of the pool's beats, compared by one of three rules.

    Where the attacker holds an anonymizer, pool and gallery are enlarged by further releases of the same beats.
    """

    source: ClassVar[str] = "Santos et al. 2013 (eigen-heartbeats); Lugovaya 2005 (PCA and LDA)"

    rule: Literal["lda", "wccn", "cosine"] = Field(
        default="lda",
        description="lda: log-posterior of shrinkage LDA on the gallery; wccn: cosine after whitening by the "
        "covariance within the pool's people; cosine: cosine to the mean coefficients",
    )
    k: int = Field(
        default=40, ge=1, le=200, description="number of singular vectors; fewer where the pool has fewer beats"
    )
    norm: Literal["z", "l2", "none"] = Field(
        default="z", description="each beat: zero mean and unit variance; unit length; or as it is, mV"
    )

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Mean (200,) and basis (200, k) of the pool, k whitened columns if the rule asks for it."""
        pool = other_draws(pool, ctx)
        x = self._normalised(pool.signal)
        mean = x.mean(axis=0)
        _, size, rows = np.linalg.svd(x - mean, full_matrices=False)
        told = size[: self.k] > FLAT * np.sqrt(len(x))
        basis = rows[: self.k].T * told  # directions that hold rounding noise only are blanked, not magnified
        if self.rule == "wccn":
            assert pool.subject is not None  # declared in `learns`
            basis = basis @ _whitening((x - mean) @ basis, pool.subject)
        return {"mean": mean, "basis": basis}

    def embed(self, state: State, beats: Beats, ctx: Context) -> Array:
        """Coefficients of each beat, (n, k)."""
        embedding: Array = (self._normalised(beats.signal) - state["mean"]) @ state["basis"]
        return embedding

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Linear discriminants of the enrolled people, or their mean directions."""
        gallery = other_draws(gallery, ctx)
        if self.rule != "lda":
            return super().enrol(state, gallery, ctx)
        assert gallery.subject is not None  # a gallery always carries it
        return fit_lda(self.embed(state, gallery, ctx), gallery.subject)

    def score_embeddings(self, enrolled: State, embeddings: Array) -> Array:
        """Log-posterior or cosine, (n, n_enrolled); rounded, so that equal beats tie exactly."""
        if self.rule == "lda":
            return log_posterior(enrolled, embeddings)
        cosine: Array = np.round(unit_rows(embeddings) @ enrolled["templates"].T, 6)
        return cosine

    def _normalised(self, signal: Array) -> Array:
        if self.norm == "z":
            return z_score(signal)
        if self.norm == "l2":
            return unit_rows(signal.astype(np.float64))
        return signal.astype(np.float64)


def _whitening(coefficients: Array, subject: Array) -> Array:
    """Matrix (k, k) after which the variation within people is alike in all directions (Hatch and Stolcke 2006)."""
    _, code, count = np.unique(subject, return_inverse=True, return_counts=True)
    means = np.zeros((len(count), coefficients.shape[1]))
    np.add.at(means, code, coefficients)
    deviations = coefficients - (means / count[:, None])[code]
    within = deviations.T @ deviations / len(deviations)
    size = np.trace(within) / len(within)
    if size <= FLAT**2:
        return np.eye(len(within))  # nobody's beats vary, or one beat a person: nothing to whiten by
    within += WHITENING_RIDGE * size * np.eye(len(within))
    whitening: Array = np.linalg.inv(np.linalg.cholesky(within)).T
    return whitening
