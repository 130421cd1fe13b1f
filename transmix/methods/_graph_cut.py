"""Labels of a grid that cost least: the graph cut of PuzzleMix.

Each cell has a price for each of L labels; each pair of neighbours pays its edge's weight times the squared
difference of their labels, over (L - 1)^2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transmix.common.errors import UserError
from transmix.common.lazy import np

if TYPE_CHECKING:
    from numpy import ndarray

    Solver = Callable[[ndarray, ndarray, ndarray], ndarray]

_FOREVER = 2**30  # capacity of what no cut goes through


def least_cut(cost: ndarray, vertical: ndarray, horizontal: ndarray) -> ndarray:
    """The labels that cost least, by maximum flow: (rows, columns).

    A cell is a chain of L edges from source to sink, of which a cut takes one (Ishikawa 2003). With an edge between any
    two nodes of two neighbouring chains a cut pays (L - 1)(a + b) - 2ab for labels a and b, which is the squared
    difference and something for each label alone.

    Args:
        cost: (rows, columns, L) int.
        vertical: (rows - 1, columns) int, weights of edges downwards; a negative one counts as 0.
        horizontal: (rows, columns - 1) int.
    """
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    rows, columns, count = cost.shape
    chain = count - 1
    ids = np.arange(rows * columns).reshape(rows, columns)
    ends = [(ids[:-1], ids[1:], vertical), (ids[:, :-1], ids[:, 1:], horizontal)]
    one, two, weight = (np.concatenate([part[i].ravel() for part in ends]) for i in range(3))
    weight = np.maximum(weight, 0).astype(np.int64)
    touching = np.bincount(np.concatenate((one, two)), np.tile(weight, 2), rows * columns).astype(np.int64)
    labels = np.arange(count)
    price = cost.reshape(-1, count).astype(np.int64) * chain**2 - touching[:, None] * labels * (chain - labels)
    price -= price.min(1, keepdims=True)
    source, sink = rows * columns * chain, rows * columns * chain + 1
    nodes = np.arange(rows * columns)[:, None] * chain + np.arange(chain)
    along = np.column_stack((np.full(len(nodes), source), nodes, np.full(len(nodes), sink)))
    start = np.repeat(nodes[one], chain, 1).ravel()
    stop = np.tile(nodes[two], (1, chain)).ravel()
    across = np.repeat(weight, chain**2)
    edges = [
        (along[:, :-1].ravel(), along[:, 1:].ravel(), price.ravel()),
        (nodes[:, 1:].ravel(), nodes[:, :-1].ravel(), np.full(nodes[:, 1:].size, _FOREVER)),
        (start, stop, across),
        (stop, start, across),
    ]
    tail, head, capacity = (np.concatenate([edge[i] for edge in edges]) for i in range(3))
    graph = csr_array(coo_array((capacity.astype(np.int32), (tail, head)), (sink + 1, sink + 1)))
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = np.zeros(sink + 1, dtype=np.int64)
    reached[breadth_first_order(left, source, return_predecessors=False)] = 1
    return reached[nodes].sum(1).reshape(rows, columns)


def swap_cut(cost: ndarray, vertical: ndarray, horizontal: ndarray) -> ndarray:
    """The labels that alpha-beta swaps arrive at, as in the published code; see `least_cut`.

    Raises:
        UserError: gco-wrapper is not installed.
    """
    try:
        import gco
    except ImportError:
        raise UserError("mix_options.solver=gco needs the package gco-wrapper: pip install '.[puzzlemix]'") from None
    labels = np.arange(cost.shape[-1])
    distance = ((labels[:, None] - labels) ** 2 / (len(labels) - 1) ** 2).astype(np.float32)
    found = gco.cut_grid_graph(cost, distance, vertical, horizontal, algorithm="swap")
    return found.reshape(cost.shape[:2]).astype(np.int64)


SOLVERS: dict[str, Solver] = {"exact": least_cut, "gco": swap_cut}
