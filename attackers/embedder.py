"""One of several published trunks, trained by one of several losses to give embeddings of beats."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import ValidationInfo, field_validator

from agile_bench.api import Array, Attacker, Beats, Context, Field, NotComputable, State, unit_rows
from agile_bench.nn.beats import other_draws, z_score
from agile_bench.nn.cohort import FEWEST, as_norm, digests, top_share
from agile_bench.nn.lda import fit_lda, log_posterior

if TYPE_CHECKING:
    from torch import Tensor

    from agile_bench.nn.heads import Head
    from agile_bench.nn.trunks import BeatEncoder

SIGNAL_TRUNKS = ("resnet1d", "inception1d", "xresnet1d", "cdil")
BATCH = 64
WARM_UP = 3
"""Epochs without a margin, at most half of all."""
DIGITS = 6
"""Decimals of a score: equal beats tie exactly, rounding noise aside."""


class Embedder(Attacker):
    """An encoder of beats taught on the pool; the gallery is compared by LDA or cosine of its embeddings.

    With the rule ``cosine`` and at least 100 people of the pool outside the gallery, scores are normalised by these
    people (AS-norm). Where the attacker holds an anonymizer, each epoch trains on another release of the pool.
    """

    source: ClassVar[str] = (
        "trunks: Ribeiro et al. 2020, Strodthoff et al. 2021, Sejak, Sido and Zahour 2023, timm; heads: Deng et al. "
        "2019 (ArcFace), Wang et al. 2018 (CosFace), Khosla et al. 2020 (SupCon); scores: Matejka et al. 2017 (AS-norm)"
    )
    learns: ClassVar[frozenset[str]] = frozenset({"subject", "session"})

    trunk: str = Field(
        default="resnet1d",
        description="resnet1d, inception1d, xresnet1d or cdil on the z-scored beat, or timm's name of a network on its "
        "picture; no weights are downloaded",
    )
    head: Literal["softmax", "arcface", "cosface", "supcon"] = Field(
        default="softmax", description="loss: a softmax over people, the same with a margin, or pairs of a batch"
    )
    size: Literal["small", "published"] = Field(
        default="small", description="small: for a processor core (timm: a picture of 80 x 80); published: for a GPU"
    )
    dim: int = Field(default=64, ge=2, le=2048, description="length of an embedding")
    epochs: int = Field(default=20, ge=0, le=1000, description="passes over the pool; 0 takes own weights as they are")
    learning_rate: float = Field(default=5e-3, gt=0, le=1, description="peak rate of AdamW")
    arcface_degrees: float = Field(
        default=14.0, ge=0, le=90, description="margin of arcface, in degrees; 0.5 rad are 28.6"
    )
    cosface_margin: float = Field(default=0.2, ge=0, le=1, description="margin of cosface, taken from the cosine")
    scale: float = Field(default=16.0, gt=0, le=512, description="factor of the cosines in arcface and cosface")
    temperature: float = Field(default=0.1, gt=0, le=10, description="divides the cosines in supcon")
    rule: Literal["lda", "cosine"] = Field(
        default="lda", description="lda: log-posterior of shrinkage LDA on the gallery; cosine: to the mean embeddings"
    )
    weights: str | None = Field(
        default=None,
        description="safetensors file of an own encoder to start from, which fits trunk, size and dim; a digest of its "
        "bytes is added to the name",
    )

    @field_validator("trunk")
    @classmethod
    def _known(cls, name: str) -> str:
        if name in SIGNAL_TRUNKS:
            return name
        from agile_bench.nn.picture import check_backbone

        try:
            return check_backbone(name)
        except ValueError as error:
            raise ValueError(f"{error}; or one of {', '.join(SIGNAL_TRUNKS)}") from None

    @field_validator("weights")
    @classmethod
    def _fitting(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None or not {"trunk", "size", "dim"} <= info.data.keys():
            return name
        from agile_bench.nn.own_weights import misfit, split_name, stamped

        if split_name(name)[1]:
            return name
        named = stamped(name)
        encoder = _built(info.data["trunk"], info.data["size"], info.data["dim"], Context(label=("weights",)))
        if problem := misfit(split_name(named)[0], encoder):
            raise ValueError(f"{name} does not fit {info.data['trunk']}, {info.data['size']}: {problem}")
        return named

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Weights of the encoder under ``net.``, ``train_accuracy``, and a cohort where the pool is large enough.

        `train_accuracy` is the share of the pool's beats, as last seen, that the head takes for their person.

        Raises
        ------
        NotComputable
            With fewer than two people in the pool, nobody with the two beats that pairs need, a loss that is no longer
            finite, own weights that cannot be read, or a timm network that cannot read pictures of this size.
        """
        from agile_bench.nn.examples import people_of
        from agile_bench.nn.own_weights import load_own
        from agile_bench.nn.state import pack

        code, people = people_of(pool)
        encoder = _built(self.trunk, self.size, self.dim, ctx)
        if self.weights is not None:
            try:
                load_own(self.weights, encoder)
            except ValueError as error:
                raise NotComputable(f"weights: {error}") from None
        told = self._taught(encoder, pool, code, people, ctx) if self.epochs else {}
        state = {**pack(encoder, "net."), **told}
        return state | (self._cohort(state, pool, code, ctx) if self.rule == "cosine" and people >= FEWEST else {})

    def _taught(self, encoder: "BeatEncoder", pool: Beats, code: Array, people: int, ctx: Context) -> State:
        """Train the encoder in place; tell how well."""
        from agile_bench.nn.beats import draws, longer
        from agile_bench.nn.examples import diverging_is_told, signal_of_epoch
        from agile_bench.nn.heads import Taught, grouped
        from agile_bench.nn.sampling import evenly
        from agile_bench.nn.train import fit, predict

        assert pool.session is not None  # declared in `learns`
        session = pool.session if len(np.unique(pool.session)) > people else pool.record

        def rows(epoch: int) -> Array:
            return grouped(code, session, head.group, ctx.rng("groups", epoch))

        def given(epoch: int) -> tuple[Array, ...]:
            return (self._inputs(signal_of_epoch(pool, ctx, epoch))[rows(epoch)],)

        epochs = longer(self.epochs, ctx)
        head = self._head(people, len(pool), ctx)
        groups = rows(0)
        net = Taught(encoder, head)
        with diverging_is_told():
            history = fit(
                net,
                net.loss,
                given(0),
                code[groups],
                ctx,
                epochs=epochs,
                batch=BATCH // head.group,
                lr=self.learning_rate,
                weight_decay=0.05,
                augment=_signal_augmented if self.trunk in SIGNAL_TRUNKS else _picture_augmented,
                fresh=given if head.group > 1 or draws(ctx) > 1 else None,
                order=evenly(code[groups[:, 0]], session[groups[:, 0]], ctx),
            )
        seen = self._inputs(signal_of_epoch(pool, ctx, epochs - 1))
        embeddings = predict(encoder, (seen[:, None],), ctx, self._block())
        accuracy = np.mean(head.cpu().named(embeddings, code) == code)
        return history.told(1 / people) | {"train_accuracy": np.array(accuracy)}

    def _head(self, people: int, beats: int, ctx: Context) -> "Head":
        from agile_bench.nn import heads
        from agile_bench.nn.seeding import seeded

        warm_up = min(WARM_UP, self.epochs // 2) * -(-beats // BATCH)
        made: dict[str, Callable[[], Head]] = {
            "softmax": lambda: heads.SoftmaxHead(self.dim, people),
            "arcface": lambda: heads.ArcFaceHead(self.dim, people, self.arcface_degrees, self.scale, warm_up),
            "cosface": lambda: heads.CosFaceHead(self.dim, people, self.cosface_margin, self.scale, warm_up),
            "supcon": lambda: heads.SupConHead(self.temperature),
        }
        with seeded(ctx, "init", "head"):
            return made[self.head]()

    def _cohort(self, state: State, pool: Beats, code: Array, ctx: Context) -> State:
        """Mean embedding of each person of the pool, and what tells later whether it is enrolled."""
        everything = other_draws(pool, ctx)
        unit = unit_rows(self.embed(state, everything, ctx).astype(np.float64))
        sums = np.zeros((int(code.max()) + 1, unit.shape[1]))
        np.add.at(sums, np.resize(code, len(everything)), unit)
        return {"cohort.mean": unit_rows(sums), "cohort.person": code, "cohort.beat": digests(_recorded(pool, ctx))}

    def embed(self, state: State, beats: Beats, ctx: Context) -> Array:
        """Embeddings (n, dim) float32."""
        from agile_bench.nn.state import unpack
        from agile_bench.nn.train import predict

        inputs = (self._inputs(beats.signal)[:, None],)
        if self.trunk in SIGNAL_TRUNKS:
            from agile_bench.nn.trunks import make_encoder

            net = unpack(lambda: make_encoder(self.trunk, self.size, self.dim), state, ctx.device, "net.")
            return predict(net, inputs, ctx)
        from agile_bench.nn.picture import restore

        net = restore(lambda: _built(self.trunk, self.size, self.dim, ctx), state, ctx, "net.")
        return predict(net, inputs, ctx, self._block())

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Linear discriminants of the enrolled people, or their mean embeddings and the cohort outside them."""
        more = other_draws(gallery, ctx)
        assert more.subject is not None  # a gallery always carries it
        if self.rule == "lda":
            return fit_lda(self.embed(state, more, ctx), more.subject)
        enrolled = super().enrol(state, more, ctx)
        return enrolled | _outside(state, gallery, ctx)

    def score_embeddings(self, enrolled: State, embeddings: Array) -> Array:
        """Log-posterior, or cosine, normalised where there is a cohort, (n, n_enrolled)."""
        if self.rule == "lda":
            return log_posterior(enrolled, embeddings)
        unit, templates = unit_rows(embeddings.astype(np.float64)), enrolled["templates"]
        scores: Array = unit @ templates.T
        if "cohort" in enrolled:
            cohort = enrolled["cohort"]
            scores = as_norm(scores, unit @ cohort.T, templates @ cohort.T, top_share(len(cohort)))
        rounded: Array = np.round(scores, DIGITS)
        return rounded

    def _inputs(self, signal: Array) -> Array:
        """Beats as the trunk reads them, (n, 200) float32."""
        return (z_score(signal) if self.trunk in SIGNAL_TRUNKS else signal).astype(np.float32)

    def _block(self) -> int:
        return 256 if self.trunk in SIGNAL_TRUNKS else 64


def _built(trunk: str, size: str, dim: int, ctx: Context) -> "BeatEncoder":
    from agile_bench.nn.seeding import seeded
    from agile_bench.nn.trunks import make_encoder

    with seeded(ctx, "init"):
        return make_encoder(trunk, size, dim)


def _recorded(beats: Beats, ctx: Context) -> Array:
    """The signal by which a person is known again in pool and gallery: as recorded, where that can be asked for."""
    return beats.signal if ctx.recorded is None else ctx.original(beats).signal


def _outside(state: State, gallery: Beats, ctx: Context) -> State:
    """The cohort without the people who are enrolled; nothing if too few are left."""
    if "cohort.mean" not in state:
        return {}
    shared = np.isin(state["cohort.beat"], digests(_recorded(gallery, ctx)))
    outside = np.ones(len(state["cohort.mean"]), bool)
    outside[state["cohort.person"][shared]] = False
    return {"cohort": state["cohort.mean"][outside]} if outside.sum() >= FEWEST else {}


def _signal_augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, and muscles twitch."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (signal,) = inputs
    moved = shifted(signal.flatten(0, 1)[:, None], 2).reshape(signal.shape)
    return [moved + 0.05 * torch.randn_like(signal)]


def _picture_augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, and electrodes do not always lie as close."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (signal,) = inputs
    moved = shifted(signal.flatten(0, 1)[:, None], 3).reshape(signal.shape)
    return [moved * (1 + 0.05 * torch.randn(*signal.shape[:2], 1, device=signal.device))]
