"""The contracts: everything that the author of a plugin has to read.

A plugin is an immutable, validated setting (a frozen pydantic model, whose fields are its parameters) plus pure
methods. What fitting learns is returned as a `State`, a flat dict of plain arrays, and handed back later: nothing
hides in `self`. The engine judges what a plugin returns (shape, dtype, finiteness, inputs untouched) and alone
computes metrics. A plugin's name is that of its file with ``_`` read as ``-``; there is no name attribute.

Import torch, scipy, scikit-learn and their like inside methods, so that listing plugins stays instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AAMI",
    "BEAT_RATE",
    "BEAT_SAMPLES",
    "CONTRACT",
    "R_COLUMN",
    "Anonymizer",
    "Array",
    "Attacker",
    "AttributeAttacker",
    "Beats",
    "Context",
    "Dataset",
    "Evaluator",
    "Field",
    "FrontEnd",
    "Instance",
    "NotComputable",
    "Plugin",
    "RecordEntry",
    "Recording",
    "Refusal",
    "Release",
    "Slot",
    "State",
    "UnusableRecord",
    "Yield",
]

CONTRACT = 2
"""Raised whenever a contract on this page changes its meaning; part of every stored artefact's address."""

BEAT_RATE = 250
"""Sampling rate of a beat, Hz."""
BEAT_SAMPLES = 200
"""Samples of a beat: 0.32 s before the R-peak to 0.48 s after it, one per column of the 200 x 200 picture."""
R_COLUMN = 80
"""Column of the R-peak in a beat."""

AAMI = ("N", "S", "V", "F", "Q")
"""Beat classes of ANSI/AAMI EC57; `Beats.label` holds their index, -1 where the class is unknown."""

Array = NDArray[Any]
State = dict[str, Array]
"""What a plugin learnt: a flat dict of numpy arrays (bool, integer or float; finite; 0-d allowed), nothing else."""


class Refusal(Exception):
    """The user asked for something that cannot be done: told in one line, exit 2, before anything runs."""


class NotComputable(Exception):
    """A plugin cannot do what is asked, and says why: a status of the cell, not a failure."""


class UnusableRecord(Exception):
    """A record cannot be used, and says why: it is skipped and counted by the reason (`kind`)."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Beats:
    """Beats as they are handed to a plugin; read-only arrays of one length n, `None` where it may not look.

    Parameters
    ----------
    signal : (n, 200) float32
        Millivolts, band-passed to 0.5-40 Hz, 250 Hz, R-peak in column 80.
    record : (n,) int32
        Opaque code of the recording, enough to group its beats. Rows of one record are consecutive and in time order.
    subject : (n,) int32 or None
        Opaque code of the person. In a gallery the codes are 0..k-1 and column j of a score matrix is code j.
    session : (n,) int32 or None
        Opaque code of the recording day, unique over people.
    label : (n,) int8 or None
        Index into `AAMI`, -1 unknown.
    sex : (n,) int8 or None
        0 male, 1 female, -1 unknown.
    age : (n,) float32 or None
        Years, nan unknown.
    rr_before, rr_after : (n,) float32 or None
        Seconds to the R-peak before and after, nan at the ends of a record. Both belong to the field name ``rr``.
    """

    signal: Array
    record: Array
    subject: Array | None = None
    session: Array | None = None
    label: Array | None = None
    sex: Array | None = None
    age: Array | None = None
    rr_before: Array | None = None
    rr_after: Array | None = None

    def __len__(self) -> int:
        return len(self.signal)

    def take(self, rows: Array) -> Self:
        """The beats of these rows (indices or a mask), every field that is present."""
        picked = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[rows] for k, v in picked.items() if v is not None})

    def with_signal(self, signal: Array) -> Self:
        """The same beats with another signal of the same length."""
        if len(signal) != len(self):
            raise ValueError(f"signal has {len(signal)} rows, the beats have {len(self)}")
        return replace(self, signal=signal)


BEAT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "subject": ("subject",),
    "session": ("session",),
    "label": ("label",),
    "sex": ("sex",),
    "age": ("age",),
    "rr": ("rr_before", "rr_after"),
}
"""What a plugin may name in `learns` and `reads`, and the fields of `Beats` that it then finds."""


@dataclass(frozen=True, slots=True)
class Release:
    """What an anonymizer gives out for one record, row by row as the beats came in.

    Exactly one of `signal` and `picture` is given.

    Parameters
    ----------
    signal : (n, 200) float32 or None
        Millivolts at 250 Hz.
    picture : (n, 200, 200) uint8 or None
        Rows from +3 mV (top) to -2 mV, ink 255 on 0.
    rr_before, rr_after : (n,) float32 or None
        New RR intervals in seconds; `None` leaves the original ones in the release.
    """

    signal: Array | None = None
    picture: Array | None = None
    rr_before: Array | None = None
    rr_after: Array | None = None


def seed_of(*label: str | int) -> int:
    """A 63-bit seed that is a pure function of a label: equal labels give equal numbers in every process."""
    parts = []
    for part in label:
        if type(part) is not str and type(part) is not int:
            raise TypeError(f"a random label is made of str and int, not {type(part).__name__}")
        parts.append(f"{type(part).__name__}:{len(str(part))}:{part}")
    return int.from_bytes(sha256("|".join(parts).encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Instance:
    """A fitted anonymizer as an attacker holds it: its settings (the plugin itself) and its learnt state."""

    plugin: Anonymizer
    state: State


class Slot(Protocol):
    """Room for the checkpoint of one training."""

    def load(self) -> State | None:
        """What was saved last, by this process or one that was killed; None where nothing was."""

    def save(self, state: State) -> None:
        """Keep a state in place of the last one, whole or not at all."""


def _silent(done: int, total: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a call: device, randomness, progress, and, for an attacker who may, the anonymizer.

    Parameters
    ----------
    label : tuple of str and int
        The place of this call in the run (seed, role, key, record), as a digest. Two calls with the same label draw
        the same random numbers, whatever ran before.
    device : str
        ``cpu`` or a torch device such as ``cuda:0``.
    report : callable
        Where `progress` goes.
    oracle : callable or None
        Behind `release`.
    recorded : callable or None
        Behind `original`.
    instances : tuple of Instance
        At ``semi-informed`` the attacker's own fitted anonymizer; at ``informed`` the defender's (one per fold of
        people); empty at lower levels.
    slot : callable or None
        Makes room for a checkpoint; the training loop's business alone.
    """

    label: tuple[str | int, ...] = ()
    device: str = "cpu"
    report: Callable[[int, int], None] = _silent
    oracle: Callable[[Beats, int], Beats] | None = field(default=None, repr=False)
    recorded: Callable[[Beats], Beats] | None = field(default=None, repr=False)
    instances: tuple[Instance, ...] = field(default=(), repr=False)
    slot: Callable[[], Slot] | None = field(default=None, repr=False)

    def seed_of(self, *label: str | int) -> int:
        """An integer seed in [0, 2**63) for this place and label."""
        return seed_of(*self.label, "/", *label)

    def rng(self, *label: str | int) -> np.random.Generator:
        """A numpy generator for this place and label."""
        return np.random.default_rng(self.seed_of(*label))

    def progress(self, done: int, total: int) -> None:
        """Tell the run how far this call is."""
        self.report(done, total)

    def release(self, beats: Beats, draw: int = 0) -> Beats:
        """The anonymizer's release of beats of the attacker's own pool or gallery, under a key of the attacker's own.

        Parameters
        ----------
        beats : Beats
            The pool or the gallery, as they were handed to this attacker.
        draw : int
            Number of the key; equal draws give equal releases.

        Raises
        ------
        NotComputable
            At the levels where the attacker has no anonymizer.
        """
        if self.oracle is None:
            raise NotComputable("the attacker has no anonymizer at this level of knowledge")
        return self.oracle(beats, draw)

    def original(self, beats: Beats) -> Beats:
        """Beats of the attacker's own pool or gallery as they were recorded, row by row: with `release`, pairs.

        Parameters
        ----------
        beats : Beats
            The pool or the gallery, as they were handed to this attacker.

        Raises
        ------
        NotComputable
            At the levels where the attacker has no anonymizer.
        """
        if self.recorded is None:
            raise NotComputable("the attacker has no anonymizer at this level of knowledge")
        return self.recorded(beats)


class Plugin(BaseModel):
    """Common to all plugins: frozen, validated settings. Fields are int, float, bool, str, None, tuples or plugins."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    source: ClassVar[str] = ""
    """Author and year of the method."""
    learns: ClassVar[frozenset[str]] = frozenset()
    """Names of `BEAT_FIELDS` that fitting needs, handed out where the role allows it."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """Names of `BEAT_FIELDS` that the later calls (release, score, evaluate, apply) need."""


class Anonymizer(Plugin):
    """A method that gives out beats which should not lead back to the person."""

    keeps: ClassVar[frozenset[str]] = frozenset({"rr"})
    """What the release leaves as it was on purpose: ``label``, ``rr``, ``amplitude``, ``shape``. Sets the floor."""
    guarantee: ClassVar[Literal["none", "k", "epsilon"]] = "none"
    """The kind of proof the method comes with."""
    stochastic: ClassVar[bool] = True
    """Whether two keys give two releases."""
    mixes_subjects: ClassVar[bool] = False
    """Whether one person's release depends on who else was fitted (k-same methods do)."""
    exposes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Which state arrays are its ``subspace``, its ``donors`` or its ``templates``: what a white-box attacker tries."""
    reconstruction: ClassVar[bool] = False
    """True where the paper could not be read and the method is our reading of it."""
    weakness: ClassVar[str] = ""
    """The known attack on it."""
    anchor: ClassVar[bool] = False
    """True for the methods that only mark an end of all tables (change nothing, one beat for all); never ranked."""

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Learn from beats of people who are not released by this instance (or are, with ``fitted_on = same-people``).

        Parameters
        ----------
        train : Beats
            Fields named in `learns`.
        ctx : Context
            Seeds derive from its label.
        clinical : Beats or None
            Labelled beats of another dataset, if the suite names one.

        Returns
        -------
        State
        """
        return {}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """Release the beats of ONE record; all secret randomness comes from `ctx`, whose label holds the key.

        Parameters
        ----------
        state : State
            What `fit` returned.
        beats : Beats
            Fields named in `reads`; `subject` only if declared, and the rows are then marked.
        ctx : Context
            Its label holds seed, role, key and record.

        Returns
        -------
        Release
            As many rows as `beats`.
        """
        raise NotImplementedError

    def forward(self, state: State, signal: Any, ctx: Context) -> Any:
        """The release as a differentiable torch function of a (n, 200) tensor, for white-box attackers; optional."""
        raise NotComputable("this anonymizer has no differentiable form")


class Attacker(Plugin):
    """An identifier: learns what people look like, enrols some, and scores probes against them.

    Implement `fit` and either `embed` (then `enrol` stores mean embeddings and `score` is their cosine) or both
    `enrol` and `score`.
    """

    unit: ClassVar[Literal["beat", "record"]] = "beat"
    """Whether `score` returns one row per probe beat or one per probe record (in order of first appearance)."""
    anchor: ClassVar[bool] = False
    """True for the attacker that only marks the floor of all tables; it is never ranked or asked to learn."""
    floor: ClassVar[frozenset[str]] = frozenset()
    """What an anonymizer may keep (`Anonymizer.keeps`) and this attacker uses alone, such as ``rr``; empty for all
    others. A floor attacker is told these as they are in the original recording, has the unit ``record`` and scores
    by log-likelihoods, natural and up to a constant per probe, so that several add up to what is known jointly."""
    learns: ClassVar[frozenset[str]] = frozenset({"subject"})

    reduce: Literal["mean-score", "mean-embedding"] = Field(
        default="mean-score", description="how the beats of a record become one score"
    )

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Learn from the pool; subject codes of the pool say nothing about the gallery's.

        Returns
        -------
        State
            One that trains may tell its last ``train_accuracy`` and what chance would give, ``train_chance``, both in
            [0, 1]: an attacker that did not learn is then named as one. ``train_loss`` and ``held_out_loss`` (epochs,)
            are kept as its loss curves.
        """
        raise NotImplementedError

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Learn the gallery's people, subject codes 0..k-1. Default: the mean unit embedding of each.

        Returns
        -------
        State
        """
        unit = unit_rows(self.embed(state, gallery, ctx))
        subject = gallery.subject
        assert subject is not None  # a gallery always carries it
        sums = np.zeros((int(subject.max()) + 1, unit.shape[1]), unit.dtype)
        np.add.at(sums, subject, unit)
        return {"templates": unit_rows(sums)}

    def score(self, state: State, enrolled: State, probes: Beats, ctx: Context) -> Array:
        """Similarity of every probe to every enrolled person, higher = more alike.

        Returns
        -------
        (n_probe, n_enrolled) float array
            Finite, or ``-inf`` where a probe gave nothing to compare (failure to acquire): the pair stays, and loses.
        """
        return self.score_embeddings(enrolled, self.embed(state, probes, ctx))

    def embed(self, state: State, beats: Beats, ctx: Context) -> Array:
        """Embeddings (n, d) of beats; optional."""
        raise NotImplementedError

    def score_embeddings(self, enrolled: State, embeddings: Array) -> Array:
        """Scores (n, n_enrolled) of embeddings; default: cosine to the stored templates."""
        scores: Array = unit_rows(embeddings) @ enrolled["templates"].T
        return scores


class AttributeAttacker(Plugin):
    """Guesses sex or age of the person behind a release."""

    target: ClassVar[Literal["sex", "age"]]

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Learn from people who are never probed; `learns` must name the target."""
        raise NotImplementedError

    def predict(self, state: State, probes: Beats, ctx: Context) -> Array:
        """Probability of female in [0, 1] (sex) or years (age), (n_probe,), one per beat."""
        raise NotImplementedError


class FrontEnd(Plugin):
    """A transformation in front of any attacker (``svd+lowpass``); pool, gallery and probes all pass through it."""

    exploits: ClassVar[str] = ""
    """What an anonymizer must expose (a key of `Anonymizer.exposes`) for it to be of use; empty where nothing."""

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Learn from the attacker's pool; it carries the person only where `learns` names ``subject``."""
        return {}

    def apply(self, state: State, beats: Beats, ctx: Context) -> Beats:
        """The transformed beats: same rows, same fields, another signal."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Yield:
    """What one array of an evaluator means.

    Parameters
    ----------
    kind : str
        ``class-scores``: (n, 5) logits over `AAMI`, from which the engine computes accuracy and its kin;
        ``waveform``: (n, 200) mV, compared with the original beats; ``per-beat``: (n,) values; ``per-record``: one
        value per record in order of first appearance. nan marks a value that could not be measured.
    unit : str
        Unit of the values.
    higher_is_better : bool
        Direction of per-beat and per-record values.
    missing : str
        What nan means in per-beat and per-record values, such as ``record shorter than 60 s``; stands in the cell
        where no value could be measured.
    """

    kind: Literal["class-scores", "waveform", "per-beat", "per-record"]
    unit: str = ""
    higher_is_better: bool = False
    missing: str = "not measurable"


class Evaluator(Plugin):
    """Measures what a release is still good for; returns arrays, of which the engine makes metrics."""

    yields: ClassVar[Mapping[str, Yield]] = {}
    """Declares every array that `evaluate` returns. The name of a per-beat or per-record array is its metric."""
    needs_labels: ClassVar[bool] = False
    """True where a dataset without beat classes cannot be evaluated."""

    def fit(self, train: Beats, ctx: Context) -> State:
        """Learn from original beats of people who are not evaluated. Fields named in `learns`."""
        return {}

    def evaluate(self, state: State, original: Beats, released: Beats, ctx: Context) -> dict[str, Array]:
        """Evaluate released beats against the original ones, row by row.

        Parameters
        ----------
        state : State
            What `fit` returned.
        original, released : Beats
            Same rows; fields named in `reads`. `released` carries new RR intervals where the release has them.
        ctx : Context

        Returns
        -------
        dict of arrays
            Exactly the names of `yields`.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """One record of a dataset as its listing tells it, before it is read.

    `record` is unique in the dataset; `session` names the recording day and need only be unique within the person.
    Entries of one person are listed in the order in which they were recorded.
    """

    record: str
    subject: str
    session: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as a loader gives it.

    Parameters
    ----------
    leads : tuple of str
        Names of the columns of `signal`, spelt as the database does.
    signal : (n, n_leads) float array
        Millivolts at `fs`; nan where the database marks a sample as missing.
    fs : float
        Hz.
    rpeaks : (k,) int array or None
        Reference QRS positions in samples, increasing.
    symbols : (k,) str array or None
        WFDB beat symbol of each reference position.
    skip : tuple of (start, stop)
        Stretches in samples that must not be used, such as ventricular flutter or a blanked start.
    sex, age : str or None, float or None
        ``M`` or ``F``; years.
    diagnosis : tuple of str
        Free words of the database.
    """

    leads: tuple[str, ...]
    signal: Array
    fs: float
    rpeaks: Array | None = None
    symbols: Array | None = None
    skip: tuple[tuple[int, int], ...] = ()
    sex: Literal["M", "F"] | None = None
    age: float | None = None
    diagnosis: tuple[str, ...] = ()


class Dataset(Plugin):
    """A loader: lists records cheaply and reads one at a time; everything downstream is shared."""

    title: ClassVar[str] = ""
    redistributable: ClassVar[bool] = False
    """Whether a beat of it may ever appear in a report."""
    licence: ClassVar[str] = ""
    folder: ClassVar[str | None] = None
    """Folder under ``--data``; `None` for a dataset that is made, not read."""
    expected_records: ClassVar[int | None] = None
    """Records of the complete publication, for ``doctor``."""
    protocols: ClassVar[tuple[str, ...]] = ("within-record",)
    """The splits that its records allow."""
    labelled: ClassVar[bool] = False
    """Whether its beats carry AAMI classes."""
    healthy: ClassVar[frozenset[str]] = frozenset()
    """Words of `Recording.diagnosis` that call a person healthy; empty where the database tells nobody's health."""

    lead: str = Field(default="", description="name of the lead to use")

    def records(self, root: Path | None) -> Sequence[RecordEntry]:
        """All records under `root` (the dataset's own folder), without reading a signal.

        Raises
        ------
        Refusal
            If the folder is missing or holds no record: what is wrong, where, what is expected.
        """
        raise NotImplementedError

    def files(self, root: Path | None, record: str) -> Sequence[Path]:
        """The files a record is read from: their bytes are part of the address of all that is computed from it."""
        return ()

    def read(self, root: Path | None, record: str) -> Recording:
        """Read one record.

        Raises
        ------
        UnusableRecord
            If it has no samples, is truncated, or breaks its format.
        """
        raise NotImplementedError

    def diagnostic_split(self) -> tuple[frozenset[str], frozenset[str]] | None:
        """Published split of records into (train, test) for diagnosis; `None`: half of the people each."""
        return None


def unit_rows(x: Array) -> Array:
    """Rows scaled to length 1; a row of zeros stays zero."""
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    scaled: Array = x / np.where(norm == 0, 1, norm)
    return scaled
