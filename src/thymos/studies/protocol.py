"""What every study is made of: a question, settings, blocks of trials, and an analysis of what they wrote."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

from thymos.errors import UsageError, did_you_mean
from thymos.stats import Correlation, Interval
from thymos.studies.bench import Bench, Context
from thymos.studies.trials import Block, Record, Records

__all__ = ["Blocks", "Estimate", "Findings", "Settings", "Side", "Study", "StudyResult", "estimate", "option"]

Side = Literal["at least", "at most", "told"]
Blocks = Generator[Block, tuple[Record, ...], None]


def option(default: Any, help: str) -> Any:
    """A field of a study's settings with its line of documentation; `thymos study show NAME` prints it."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """Settings of a study; each field is made with `option`."""

    @classmethod
    def options(cls) -> tuple[Field[Any], ...]:
        """Fields in order, each with `metadata["help"]`."""
        return fields(cls)

    @classmethod
    def quick(cls) -> "Settings":
        """The preset of `--preset quick`."""
        return cls()

    @classmethod
    def full(cls) -> "Settings":
        """The preset of `--preset full`."""
        return cls()

    def changed(self, **changes: Any) -> "Settings":
        """The same with other values.

        Raises:
            UsageError: An unknown setting.
        """
        known = [one.name for one in fields(self)]
        for name in changes:
            if name not in known:
                raise UsageError(
                    f"unknown setting {name!r}{did_you_mean(name, known)}; settings: {', '.join(known) or 'none'}"
                )
        return replace(self, **changes)


@dataclass(frozen=True)
class Estimate:
    """One figure of a study, with everything it must be held against.

    Attributes:
        name: What was measured.
        value: The estimate.
        low: Lower end of its 95% interval; None where there is none.
        high: Upper end.
        n: Independent items behind it.
        control: What the controls gave, in words with their numbers.
        clear: Whether the estimate lies outside all controls; None where there are none.
        p: p-value against the null of the study; those of primary estimates are corrected over studies by Holm.
        chance: What a reader without knowledge would get.
        truth: What was planted, where the model is the bundled one.
        paper: What Sofroniew et al. 2026 report.
        side: Whether the mark is a floor, a ceiling, or absent.
        mark: The pass mark, fixed before the run.
        primary: Whether it is one of the study's claims.
        note: Caveats; for a null, its power.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    control: str = ""
    clear: bool | None = None
    p: float | None = None
    chance: float | None = None
    truth: str = ""
    paper: str = ""
    side: Side = "told"
    mark: float | None = None
    primary: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the mark is reached; None without a mark. A mark with controls is reached only clear of them."""
        if self.mark is None:
            return None
        met = self.value >= self.mark if self.side == "at least" else self.value <= self.mark
        return met and self.clear is not False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the verdict."""
        return {**asdict(self), "reached": self.reached}


def estimate(name: str, value: float | Interval | Correlation, **more: Any) -> Estimate:
    """An `Estimate` from a number or from anything with an interval; `more` are its other fields."""
    if isinstance(value, Correlation):
        value = value.interval
    if isinstance(value, Interval):
        more.setdefault("n", value.n)
        return Estimate(name, float(value.estimate), float(value.low), float(value.high), **more)
    return Estimate(name, float(value), **more)


@dataclass(frozen=True)
class Findings:
    """What an analysis makes of the records.

    Attributes:
        estimates: The figures, primary ones first.
        tables: Tables by name: rows of plain values; figures of the report are drawn from them.
        refusals: Cells that were not tested, each with the reason and the way out.
        remarks: What a reader must know.
    """

    estimates: tuple[Estimate, ...]
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyResult:
    """A study that was run on a model."""

    study: str
    question: str
    source: str
    about: Mapping[str, Any]
    """Header of the log: model, vectors, settings, seed, versions."""
    findings: Findings

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The figures."""
        return self.findings.estimates

    def __getitem__(self, name: str) -> Estimate:
        for one in self.estimates:
            if one.name == name:
                return one
        names = [one.name for one in self.estimates]
        raise UsageError(f"no estimate {name!r}{did_you_mean(name, names)}; estimates: {', '.join(names)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "study": self.study,
            "question": self.question,
            "source": self.source,
            "about": dict(self.about),
            "estimates": [one.to_dict() for one in self.estimates],
            "tables": {name: list(rows) for name, rows in self.findings.tables.items()},
            "refusals": list(self.findings.refusals),
            "remarks": list(self.findings.remarks),
        }


class Study(ABC):
    """One experiment: `blocks` says what is run, `analyse` what follows from the records alone."""

    name: ClassVar[str]
    """As on the command line."""
    question: ClassVar[str]
    """What it asks, one sentence."""
    source: ClassVar[str]
    """Where the experiment comes from."""
    settings: ClassVar[type[Settings]] = Settings
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of "chat" (a chat template), "decoder" (a language-model head), "pair" (a second model), "corpus"."""

    @abstractmethod
    def blocks(self, bench: Bench, settings: Any) -> Blocks:
        """The blocks in order. Each `yield` gives back the records of its block, from which later ones may follow."""

    @abstractmethod
    def analyse(self, records: Records, context: Context, settings: Any) -> Findings:
        """Figures from records; no model is touched, so a report can be made of a log alone."""
