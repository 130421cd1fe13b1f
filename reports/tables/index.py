"""The tables there are, by the name of their make target."""

from __future__ import annotations

from collections.abc import Callable

from reports.formats.table import Table
from reports.records.collect import Collected
from reports.tables import lambdas, occlusion, table1, table2, table3, table4, table5

TABLES: dict[str, Callable[[Collected], Table]] = {
    "table1": table1.build,
    "table2": table2.build,
    "table3": table3.build,
    "table4": table4.build,
    "table5": table5.build,
    "occlusion": occlusion.build,
    "lambda": lambdas.build,
}
