"""Can a beat still be diagnosed? Networks trained on originals read the releases."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from agile_bench.api import AAMI, Array, Beats, Context, Evaluator, Field, NotComputable, State, Yield
from agile_bench.nn.beats import z_score

if TYPE_CHECKING:
    from torch import Tensor

    from agile_bench.nn.conv1d import ConvClassifier
    from agile_bench.nn.picture import PictureAndNumbers

UNKNOWN, Q = -1, AAMI.index("Q")
RR_NOISE = 0.3
SIGNAL_NOISE = 0.2
MV_NOISE = 0.02
BACKBONE, SIDE = "mobilenetv3_small_050", 64
"""What reads pictures, and the side of the square that it sees."""
LEAST_MV = 0.05
"""A record's typical beat is taken to vary by at least this much, so that flat releases are not magnified."""


class Diagnosis(Evaluator):
    """AAMI beat classes from a beat, its difference to the record's median beat, and its RR intervals.

    On pictures, the beat and the median beat are drawn and read by a network for images.

    Several small networks answer together: larger ones learn the training records by heart, and a single one varies.
    Beats of unknown class and of class Q are not learnt. About 90 evenly spaced beats of each record are enough to
    train on; `prior` allows for any other sampling.
    """

    source: ClassVar[str] = "inter-patient scheme of de Chazal et al. 2004; network of our own"
    learns: ClassVar[frozenset[str]] = frozenset({"label", "rr"})
    reads: ClassVar[frozenset[str]] = frozenset({"rr"})
    yields: ClassVar[dict[str, Yield]] = {"diagnosis": Yield("class-scores")}
    needs_labels: ClassVar[bool] = True

    input: Literal["signal", "picture"] = Field(
        default="signal", description="what the networks read: the beat itself or its 200 x 200 picture"
    )
    epochs: int | None = Field(
        default=None, ge=1, le=1000, description="passes over the training beats; by default 20, of pictures 10"
    )
    networks: int | None = Field(
        default=None, ge=1, le=100, description="networks whose logits are averaged; by default 3, of pictures 1"
    )
    prior: tuple[float, float, float, float] = Field(
        default=(0.80, 0.05, 0.12, 0.03),
        description="shares of N, S, V and F that the answers are weighed for; between those of recordings, which "
        "favour accuracy, and equal ones, which favour balanced accuracy",
    )

    def fit(self, train: Beats, ctx: Context) -> State:
        """Weights of network i under ``i.``.

        Raises
        ------
        NotComputable
            If the beats show fewer than two of the classes N, S, V and F.
        """
        assert train.label is not None  # declared in `learns`
        used = (train.label != UNKNOWN) & (train.label != Q)
        target = train.label[used].astype(np.int64)
        if len(np.unique(target)) < 2:
            raise NotComputable("training beats show fewer than 2 of the classes N, S, V and F")
        # Features of the whole record first: the median beat and RR interval do not depend on which labels are known.
        inputs = tuple(x[used] for x in _inputs(train, self.input))
        state: State = {}
        for number in range(self._size[1]):
            state |= self._train(inputs, target, ctx, number)
            state[f"{number}.head.bias"] += self._correction(target)
        return state

    def _train(self, inputs: tuple[Array, ...], target: Array, ctx: Context, number: int) -> State:
        """Weights of one network."""
        from torch.nn import CrossEntropyLoss

        from agile_bench.nn.seeding import seeded
        from agile_bench.nn.state import pack
        from agile_bench.nn.train import fit

        epochs, networks = self._size

        def report(done: int, total: int) -> None:
            ctx.progress(number * total + done, networks * total)

        mine = replace(ctx, label=(*ctx.label, "network", number), report=report)
        with seeded(mine, "init"):
            net = _picture_network() if self.input == "picture" else _signal_network()
        fit(
            net,
            CrossEntropyLoss(),
            inputs,
            target,
            mine,
            epochs=epochs,
            batch=64,
            lr=3e-3,
            weight_decay=0.05,
            augment=_augmented_picture if self.input == "picture" else _augmented,
        )
        return pack(net, f"{number}.")

    def evaluate(self, state: State, original: Beats, released: Beats, ctx: Context) -> dict[str, Array]:
        """Logits over the AAMI classes, (n, 5)."""
        from agile_bench.nn.picture import BLOCK, restore
        from agile_bench.nn.state import unpack
        from agile_bench.nn.train import predict

        inputs = _inputs(released, self.input)
        total = np.zeros((len(released), len(AAMI)))
        networks = self._size[1]
        for prefix in (f"{number}." for number in range(networks)):
            if self.input == "picture":
                total += predict(restore(_picture_network, state, ctx, prefix), inputs, ctx, BLOCK)
            else:
                total += predict(unpack(_signal_network, state, ctx.device, prefix), inputs, ctx)
        return {"diagnosis": total / networks}

    @property
    def _size(self) -> tuple[int, int]:
        """Epochs and networks; a network on pictures costs 60 times as much as one on signals."""
        epochs, networks = (10, 1) if self.input == "picture" else (20, 3)
        return self.epochs or epochs, self.networks or networks

    def _correction(self, target: Array) -> Array:
        """What turns the training beats' class shares into the prior's, in logits; 0 for classes not trained."""
        share = np.bincount(target, minlength=len(AAMI)) / len(target)
        prior = np.array([*self.prior, 0.0])
        known = (share > 0) & (prior > 0)
        ratio = np.where(known, prior, 1.0) / np.where(known, share, 1.0)
        correction: Array = np.log(ratio).astype(np.float32)
        return correction


def _signal_network() -> "ConvClassifier":
    from agile_bench.nn.conv1d import ConvClassifier, ConvEncoder

    return ConvClassifier(ConvEncoder(2, (8, 16, 16), size=32, extra=4, dropout=0.3), len(AAMI))


def _picture_network() -> "PictureAndNumbers":
    from agile_bench.nn.picture import PictureAndNumbers, PictureEncoder

    return PictureAndNumbers(PictureEncoder(BACKBONE, SIDE, channels=2), len(AAMI), numbers=4)


def _inputs(beats: Beats, kind: Literal["signal", "picture"]) -> tuple[Array, ...]:
    """Signals (n, 2, 200) and RR intervals (n, 4), float32.

    The signals are the scaled beat and its difference to the record's median beat, or, to be drawn, the beat and the
    median beat in mV. RR intervals are relative to the record's.
    """
    assert beats.rr_before is not None  # declared in `reads`
    assert beats.rr_after is not None
    signals = np.zeros((len(beats), 2, beats.signal.shape[1]), np.float32)
    rhythm = np.zeros((len(beats), 4), np.float32)
    signals[:, 0] = z_score(beats.signal) if kind == "signal" else beats.signal
    for record in np.unique(beats.record):
        rows = beats.record == record
        signal = beats.signal[rows].astype(np.float64)
        typical = np.median(signal, axis=0)
        difference = (signal - typical) / max(float(typical.std()), LEAST_MV)
        signals[rows, 1] = difference if kind == "signal" else typical
        rhythm[rows] = _rhythm(beats.rr_before[rows], beats.rr_after[rows])
    return signals, rhythm


def _rhythm(before: Array, after: Array) -> Array:
    """RR before and after relative to the record's median, to each other, and the median itself, as logarithms.

    The factors bring the four to a like spread; an interval that is not known counts as the median.
    """
    known = before[np.isfinite(before)]
    median = float(np.median(known)) if len(known) else 0.8
    log_before, log_after = (np.log(np.clip(np.where(np.isfinite(rr), rr, median), 0.2, 4.0)) for rr in (before, after))
    middle = np.log(np.clip(median, 0.2, 4.0))
    return np.stack(
        [
            4 * (log_before - middle),
            4 * (log_after - middle),
            2 * (log_before - log_after),
            np.full(len(before), middle),
        ],
        axis=1,
    )


def _augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """Shift, gain and noise: other people's beats lie elsewhere, are larger or smaller, and rhythms differ."""
    import torch

    from agile_bench.nn.conv1d import shifted

    signal, rhythm = inputs
    gain = 1 + SIGNAL_NOISE * torch.randn(len(signal), 1, 1, device=signal.device)
    signal = shifted(signal, 2) * gain + SIGNAL_NOISE * torch.randn_like(signal)
    return [signal, rhythm + RR_NOISE * torch.randn_like(rhythm)]


def _augmented_picture(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """The same in mV; beat and median beat grow together."""
    import torch

    from agile_bench.nn.conv1d import shifted

    signal, rhythm = inputs
    gain = 1 + SIGNAL_NOISE * torch.randn(len(signal), 1, 1, device=signal.device)
    signal = shifted(signal, 2) * gain + MV_NOISE * torch.randn_like(signal)
    return [signal, rhythm + RR_NOISE * torch.randn_like(rhythm)]
