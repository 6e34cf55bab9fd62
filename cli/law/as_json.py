"""The object that `perdure law --json` prints: the whole report, and the curves themselves."""

from dataclasses import asdict
from typing import Any

from perdure.agent.law_data.findings import Findings
from perdure.budget.law.curves import Powers
from perdure.budget.law.fit import Fit
from perdure.budget.law.places import Place
from perdure.budget.law.resample import Interval
from perdure.budget.law.rivals import Rival, Standing, verdict

FORMAT_VERSION = 1


def law_object(findings: Findings) -> dict[str, Any]:
    """Plain values; `None` or NaN where not known. Forgetting, retention and coverage are fractions, KL is in nats."""
    points = findings.points
    return {
        "format": FORMAT_VERSION,
        "sources": findings.dataset.sources,
        "notes": findings.dataset.notes,
        "world": points.world,
        "base": points.base,
        "unit": points.unit,
        "prompts": points.prompts,
        "benchmarks": findings.dataset.benchmarks,
        "base_score": findings.base_score,
        "base_entropy": None if findings.base_entropy is None else findings.base_entropy[0],
        "base_entropy_most": None if findings.base_entropy is None else findings.base_entropy[1],
        "points": len(points),
        "runs": findings.runs,
        "seeds": findings.seeds,
        "methods": findings.methods,
        "curves": {kind: _curve(fit) for kind, fit in findings.fits.items()},
        "predictors": [_rival(rival) for rival in findings.rivals],
        "places": [_place(place) for place in findings.places],
        "verdict": {kind: verdict(findings.rivals, kind) for kind in ("quadratic", "monotone")},
        "common_curve": asdict(findings.common),
        "predictor": findings.predictor,
        "law": None if findings.law is None else asdict(findings.law),
        "no_law": findings.no_law or None,
        "frontiers": [asdict(frontier) for frontier in findings.frontiers],
        "retention": [asdict(one) for one in findings.retention],
        "behind": [
            {"accuracy": accuracy, "methods": [asdict(one) for one in behind.values()]}
            for accuracy, behind in zip(findings.accuracies, findings.behind, strict=True)
        ],
        "excess": [asdict(one) for one in findings.excess],
        "excess_at": [
            {"accuracy": accuracy, "methods": [asdict(one) for one in spent]}
            for accuracy, spent in zip(findings.accuracies, findings.excess_at, strict=True)
        ],
    }


def _curve(fit: Fit) -> dict[str, Any]:
    """The fit and its curve: `powers` are the coefficients of 1, KL, KL² …; at `knots` straight parts meet."""
    about = asdict(fit)
    del about["curve"]
    if isinstance(fit.curve.basis, Powers):
        return about | {"powers": fit.curve.powers(), "turns_at": fit.curve.turns_at()}
    kl, forgetting = fit.curve.knots()
    return about | {"knots": {"kl": kl, "forgetting": forgetting}}


def _rival(rival: Rival) -> dict[str, Any]:
    return {
        "predictor": rival.predictor,
        "place": rival.place,
        "missing": rival.missing,
        "fits": {kind: _standing(standing) for kind, standing in rival.standings.items()},
    }


def _place(place: Place) -> dict[str, Any]:
    """How well a law of this predictor does by the monotone curve; `width` is the mean of its interval."""
    law = place.law
    return {
        "predictor": place.predictor,
        "r2": asdict(place.fit.r2),
        "held_out_runs": _perhaps(place.fit.held_out_runs),
        "held_out_seeds": _perhaps(place.fit.held_out_seeds),
        "held_out_methods": _perhaps(place.fit.held_out_methods),
        "width": place.width,
        "level": None if law is None else law.level,
        "coverage": None if law is None else asdict(law.coverage),
        "coverage_seeds": None if law is None or law.coverage_seeds is None else asdict(law.coverage_seeds),
        "coverage_methods": None if law is None or law.coverage_methods is None else asdict(law.coverage_methods),
        "points": place.fit.points,
        "runs": place.fit.runs,
    }


def _perhaps(found: Interval | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "r2": asdict(standing.fit.r2),
        "held_out_runs": _perhaps(standing.fit.held_out_runs),
        "held_out_seeds": _perhaps(standing.fit.held_out_seeds),
        "held_out_methods": _perhaps(standing.fit.held_out_methods),
        "difference": _perhaps(standing.difference),
        "tied": standing.tied,
        "rank": standing.rank,
        "points": standing.fit.points,
        "runs": standing.fit.runs,
    }
