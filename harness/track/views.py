"""Views of MLflow's list of runs that are saved with an experiment: a study's table, and its seeds by row.

MLflow 3.17 keeps a view as a tag of the experiment (``mlflow.sharedViewState.KEY``), offers it under "Views", and opens
it at an address that names the key. Nothing has to be chosen by hand then.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.track import series
from harness.track.stamps import name_variant

if TYPE_CHECKING:
    from harness.study import Study

TAG = "mlflow.sharedViewState."
LONGEST = 18_000  # characters of a view; MLflow takes 20,000 in a tag
NAME = "attributes.`Run Name`"
WIDTHS = {"name": 270, "number": 92}  # of columns, in pixels


def name_view(study: "Study", kind: str) -> str:
    """The key of a view, as it stands in its address: "table-paper"."""
    return "-".join([kind, re.sub(r"[^\w.-]", "_", name_variant(study))])


def list_views(study: "Study", now: int) -> dict[str, str]:
    """Tag -> view; ``now`` in milliseconds. Presets that share an experiment have views of their own."""
    variant = name_variant(study)
    printed = [series.spell(column.name) for column in study.columns]
    scored = [series.spell(column.metric) for column in study.columns]
    table = [f"metrics.`{what}/{name}`" for name in printed for what in ("mean", "paper")]
    table += [f"metrics.`std/{name}`" for name in printed]  # a page of usual width shows the first few columns
    seeds = ["params.`row`", "params.`seed`", *(f"metrics.`test/{name}`" for name in dict.fromkeys(scored))]
    by_row = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": "row"}]}
    return {
        TAG + name_view(study, "table"): fit_view(f"Table ({variant})", "row", variant, table, now),
        TAG + name_view(study, "seeds"): fit_view(f"Seeds by row ({variant})", "seed", variant, seeds, now, by_row),
    }


def fit_view(
    name: str, kind: str, variant: str, columns: Sequence[str], now: int, group: Mapping[str, Any] | None = None
) -> str:
    """A view in MLflow's words, with as many columns as a tag can hold."""
    view = write_view(name, kind, variant, columns, now, group)
    return view if len(view) <= LONGEST else fit_view(name, kind, variant, columns[: len(columns) // 2], now, group)


def write_view(
    name: str, kind: str, variant: str, columns: Sequence[str], now: int, group: Mapping[str, Any] | None
) -> str:
    """Runs of a kind and preset, by name, with these columns."""
    quote = '"' if "'" in variant else "'"
    state = {
        "searchFilter": f"tags.kind = '{kind}' and tags.preset = {quote}{variant}{quote}",
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": [NAME, *columns],
        "columnWidths": {NAME: WIDTHS["name"]} | dict.fromkeys(columns, WIDTHS["number"]),
        "groupBy": group,
    }
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)})
