"""What a benchmark shows: means, spreads, and paired differences with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from napari_asmil.training.recipe import Recipe
from napari_asmil.training.tables import columns
from napari_asmil.training.variants import split_variant, variant_of

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
COLUMNS = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "macro_f1": "macro F1",
    "loss": "loss",
    "jsd_bits": "JSD",
    "jsd_rows_bits": "JSD of rows",
    "normalized_entropy": "entropy",
    "tile_auc": "tile AUC",
    "topk_recall": "recall",
    "dice": "Dice",
}
"""Numbers of a trial that the table shows, and their headings."""
LEGEND = """\
JSD: bits from epoch to epoch, of the mean of a map's rows (heads, classes), and of each row on its own, mean over rows:
a mean of many rows moves less than they do. Entropy and what follows: of the map as it is shown, on test bags."""
PRIMARY = "auc"
"""The number that decides; the intervals of its differences are corrected for how many methods are compared."""


@dataclass(frozen=True)
class Trial:
    """One training: its place in the design, the sizes of its splits, and its numbers."""

    method: str
    seed: int
    fold: int
    n_train: int
    n_test: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """A method minus another on the same seeds and folds: mean, ends of its confidence interval, number of pairs."""

    against: str
    mean: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Result:
    """One dataset.

    Attributes
    ----------
    trials : dict of method to int
    means, spreads : dict of method to dict of number to float
        Mean and standard deviation (J - 1) over the J trials in which the number is defined; NaN of too few.
    defined : dict of method to dict of number to int
        In how many it is: no fold has an AUC whose test bags are of one class.
    differences : dict of method to dict of number to Difference
        To the `reference` of each.
    floors : dict of pooling to list of float
        AUC of logistic regression on pooled features, a value a trial.
    """

    name: str
    trials: Mapping[str, int]
    independent: bool
    labels: Mapping[str, str]
    means: dict[str, dict[str, float]]
    spreads: dict[str, dict[str, float]]
    defined: dict[str, dict[str, int]]
    differences: dict[str, dict[str, Difference]]
    floors: Mapping[str, Sequence[float]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarise(
    name: str,
    trials: Sequence[Trial],
    recipes: Mapping[str, Recipe],
    floors: Mapping[str, Sequence[float]],
    *,
    independent: bool,
) -> Result:
    """Compare the methods of one dataset, those of `recipes`, each with its `reference`."""
    by_method: dict[str, list[Trial]] = {}
    for trial in trials:
        by_method.setdefault(trial.method, []).append(trial)
    known = {m: {n: _defined(_values(ts, n)) for n in COLUMNS} for m, ts in by_method.items()}
    pairs = {method: other for method in recipes if (other := reference(method, recipes)) is not None}
    differences = {}
    for method, other in pairs.items():
        ours, theirs = by_method[method], by_method[other]
        share = 0.0 if independent else float(np.mean([t.n_test / t.n_train for t in ours]))
        differences[method] = {
            n: difference(_values(ours, n) - _values(theirs, n), other, share, len(pairs) if n == PRIMARY else 1)
            for n in COLUMNS
        }
    return Result(
        name=name,
        trials={m: len(ts) for m, ts in by_method.items()},
        independent=independent,
        labels={method: ", ".join([recipe.label, *method.split(":")[1:]]) for method, recipe in recipes.items()},
        means={m: {n: _mean(v) for n, v in of.items()} for m, of in known.items()},
        spreads={m: {n: _spread(v) for n, v in of.items()} for m, of in known.items()},
        defined={m: {n: len(v) for n, v in of.items()} for m, of in known.items()},
        differences=differences,
        floors=floors,
    )


def _values(trials: Sequence[Trial], name: str) -> Floats:
    return np.array([t.numbers.get(name, np.nan) for t in sorted(trials, key=lambda t: (t.seed, t.fold))])


def _defined(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _spread(values: Floats) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def reference(method: str, recipes: Mapping[str, Recipe]) -> str | None:
    """What a method is compared with.

    The same recipe without anchor, entropy and ensembling where that is there; else the plain method, whatever its
    settings; else the first.
    """
    unsteadied = recipes[method].changed(anchor=None, entropy=None, ensemble=None)
    same = [name for name, recipe in recipes.items() if recipe == unsteadied]
    plain = variant_of(split_variant(method.partition(":")[0])[0])
    return next((name for name in (*same, plain, next(iter(recipes))) if name in recipes and name != method), None)


def difference(values: Floats, against: str, share: float, comparisons: int = 1) -> Difference:
    """Mean of paired differences with a t interval.

    Parameters
    ----------
    values : float (J,)
        Differences on J trials; those that are not defined are left out.
    share : float
        n_test / n_train of cross-validated trials: they share training bags, and the variance of their mean is
        that of J trials times (1 / J + share) (Nadeau and Bengio, Machine Learning 2003); 0 where trials are
        independent. Fewer than two have no interval (NaN).
    comparisons : int
        So many intervals are to hold together with `CONFIDENCE` (Bonferroni).
    """
    values = _defined(values)
    mean, trials = _mean(values), len(values)
    if trials < 2:
        return Difference(against, mean, float("nan"), float("nan"), trials)
    quantile = student.ppf(1 - (1 - CONFIDENCE) / 2 / comparisons, trials - 1)
    wide = float(np.std(values, ddof=1) * np.sqrt(1 / trials + share) * quantile)
    return Difference(against, mean, mean - wide, mean + wide, trials)


def as_text(result: Result) -> str:
    """One dataset as text."""
    shown = [name for name in COLUMNS if any(np.isfinite(of[name]) for of in result.means.values())]
    rows = [("method", *(COLUMNS[name] for name in shown))]
    for method in result.means:
        label = result.labels.get(method, f"{next(iter(result.labels.values()))}, {method}")
        rows.append((label, *(_number(result, method, name) for name in shown)))
    for pooling, aucs in result.floors.items():
        values = _defined(np.array(aucs))
        known = {"auc": _cell(_mean(values), _spread(values), len(values), len(aucs))}
        rows.append((f"logistic regression, pooled: {pooling}", *(known.get(name, "-") for name in shown)))
    compared = [("difference", "against", *(COLUMNS[name] for name in shown)), *_compared(result, shown)]
    kind = "independent cohorts" if result.independent else "folds of one cohort"
    trials = result.trials[next(iter(result.labels))]
    heading = f"{result.name}: {trials} trainings a method ({kind}), last epoch; mean ± s.d."
    parts = [heading, columns(rows), LEGEND]
    return "\n\n".join([*parts, _on_intervals(result, shown), columns(compared)] if len(compared) > 1 else parts)


def _on_intervals(result: Result, shown: Sequence[str]) -> str:
    """What must be said beside many intervals."""
    methods, others = len(result.differences), len(result.differences) * len([n for n in shown if n != PRIMARY])
    corrected = f" together (Bonferroni, {methods} comparisons)" if methods > 1 else ""
    return (
        f"Paired differences; an interval that holds 0 shows no difference. {COLUMNS[PRIMARY]} is the primary number:"
        f" its intervals hold with {CONFIDENCE:.0%}{corrected}.\nThe {others} others are of {CONFIDENCE:.0%} each, not"
        " corrected for how many they are: some miss 0 by chance alone."
    )


def _compared(result: Result, shown: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for method, of in result.differences.items():
        against, trials = result.labels[of["auc"].against], result.trials[method]
        yield (result.labels[method], against, *(_interval(of[name], trials) for name in shown))


def _interval(found: Difference, trials: int) -> str:
    if np.isnan(found.mean):
        return "-"
    known = np.isfinite([found.low, found.high]).all()
    style = "+.3f" if max(map(abs, (found.low, found.high) if known else (found.mean,))) >= 0.02 else "+.1e"
    ends = f" [{found.low:{style}}, {found.high:{style}}]" if known else ""
    return f"{found.mean:{style}}{ends}{_of(found.pairs, trials)}"


def _number(result: Result, method: str, name: str) -> str:
    mean, spread = result.means[method][name], result.spreads[method][name]
    return _cell(mean, spread, result.defined[method][name], result.trials[method])


def _cell(mean: float, spread: float, defined: int, trials: int) -> str:
    if not defined:
        return "-"
    style = ".3f" if mean >= 0.1 else ".2g"
    wide = f"{spread:{style}}" if defined > 1 else "-"
    return f"{mean:{style}} ± {wide}{_of(defined, trials)}"


def _of(defined: int, trials: int) -> str:
    """Said where a number is not defined in every trial."""
    return f" ({defined} of {trials})" if defined < trials else ""
