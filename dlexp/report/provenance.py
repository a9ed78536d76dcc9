"""How a sweep's results came to be: settings, seeds, versions, devices, time."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dlexp.config.identity import WITHOUT_EFFECT
from dlexp.config.obsolete import reason_to_train_anew
from dlexp.records.run import Run
from dlexp.records.sources import changed_sources
from dlexp.report.texts import duration_text, ranges_text, value_text, value_texts
from dlexp.results.seeds import is_seed
from dlexp.results.summary import Summary, sort_key

_MOST_VALUES = 12


def shared_settings(summary: Summary) -> list[tuple[str, str]]:
    """Return the settings, seeds apart, that are the same in all runs whose configuration is known whole."""
    runs = [run for run in summary.runs if run.has_result]
    if not runs:
        return []
    return [
        (key, value_text(value))
        for key, value in runs[0].settings.items()
        if not is_seed(key)
        and key.split(".")[0] not in WITHOUT_EFFECT
        and all(key in run.settings and run.settings[key] == value for run in runs)
    ]


def settings_besides(summary: Summary) -> list[tuple[str, str]]:
    """Return the values of the settings that vary along with the swept ones."""
    return [
        (key, _listed([run.settings.get(key) for run in summary.runs if run.has_result]))
        for key in summary.keys
        if key not in summary.swept
    ]


def _listed(values: Iterable[object]) -> str:
    distinct = sorted(dict.fromkeys(values), key=sort_key)
    shown = value_texts(distinct[:_MOST_VALUES])
    return ", ".join([*shown, *(["..."] if len(distinct) > _MOST_VALUES else [])])


def facts(summary: Summary, seconds: float | None) -> list[tuple[str, str]]:
    """Return names and values: runs, seeds, time taken, devices, versions; those that are known.

    `seconds` is the time that the sweep took on the clock.
    """
    runs = summary.runs
    found = [
        ("runs", _run_counts(runs)),
        ("seeds", ranges_text(run.seed for run in runs if run.seed is not None)),
        *_other_seeds(runs),
        ("time taken", _times(runs, seconds)),
        ("device", ", ".join(dict.fromkeys(run.device for run in runs if run.device))),
    ]
    names = dict.fromkeys(name for run in runs for name in run.versions)
    for name in names:
        versions = dict.fromkeys(run.versions[name] for run in runs if name in run.versions)
        found.append((name, ", ".join(versions)))
    return [(name, text) for name, text in found if text]


def _run_counts(runs: Sequence[Run]) -> str:
    statuses = [run.status for run in runs]
    return ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(sorted(statuses)))


def _other_seeds(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return the seeds that were set apart from the run's own."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if is_seed(key) and key != "seed")
    return [
        (key, _listed([run.settings.get(key) for run in runs if key in run.settings]))
        for key in keys
        if any(run.settings.get(key, run.seed) != run.seed for run in runs)
    ]


def _times(runs: Sequence[Run], seconds: float | None) -> str:
    durations = [run.duration_s for run in runs if run.has_result and math.isfinite(run.duration_s)]
    total = math.fsum(durations)
    parts = [f"{duration_text(total)} (sum over runs)"] if durations else []
    if seconds is not None:
        parts.append(f"{duration_text(seconds)} (on the clock)")
    return ", ".join(parts)


def doubts(runs: Iterable[Run]) -> Iterator[str]:
    """Yield a sentence for each reason not to rely on stored runs: their version, files, mixture."""
    finished = [run for run in runs if run.is_finished]
    reasons = Counter(reason_to_train_anew(run.config, run.versions) for run in finished)
    for reason, count in reasons.items():
        if reason:
            yield (
                f"{count} of {len(finished)} runs are of an earlier version and may be wrong ({reason}); the "
                "command of the sweep trains them anew."
            )
    damaged = {run.run_id: damage for run in finished if (damage := run.damage())}
    if damaged:
        name, damage = next(iter(damaged.items()))
        others = f" and {len(damaged) - 1} others" if len(damaged) > 1 else ""
        yield f"{name}{others}: {damage}; the command of the sweep trains anew."
    changed = Counter(module for run in finished for module in _changed(run))
    for module, count in changed.items():
        yield (
            f"{module} has changed since {count} of {len(finished)} runs were trained; rerun=true trains "
            "them anew."
        )
    versions = Counter(run.versions.get("dlexp", "unknown") for run in finished)
    if len(versions) > 1:
        listed = ", ".join(f"{version} ({count})" for version, count in sorted(versions.items()))
        yield f"The runs are of several versions of dlexp: {listed}."
    apart = sum("stack_difference" in run.extra for run in finished)
    if apart:
        yield f"{apart} of {len(finished)} networks were trained by themselves: a stack would have differed."


def _changed(run: Run) -> list[str]:
    stored = run.extra.get("sources")
    return changed_sources(run.config, stored) if isinstance(stored, dict) else []
