"""PuzzleMix: a mask by graph cut that keeps what is salient of both images, and blocks moved to where they are shown.

Kim et al., ICML 2020, arXiv 2009.06962. Source: snu-mllab/PuzzleMix@e2dbf3a, mixup.py. Saliency is the size of the
loss's gradient at the pixels of the clean batch (student in eval mode). The image is cut into 2, 4, 8 or 16 blocks a
side, drawn once a batch as lambda ~ Beta(alpha, alpha) is; each block gets a weight of 0, 1/2 or 1 by the cut that
balances saliency, smoothness of the mask and of the image, and a prior for lambda. Then salient blocks move to where
their image is shown; blocks that nobody moved to become grey. Label: the mask's mean, for each image. Partners are a
random permutation.

The cut: ``solver=exact`` (the default) finds the optimum by maximum flow; ``solver=gco`` runs the published
alpha-beta swap by the package gco-wrapper (``pip install .[puzzlemix]``), which may miss it for three labels. Blocks
move on the grid of the cut (the code's default ``t_size=-1``). Pixels are pooled by the largest divisor of a block's
side up to ``pooled`` (the code: by ``pooled`` itself, 4 for CIFAR and 2 for ImageNet). Whoever mixes at 224 pixels
with three labels waits for the CPU: the reference uses eight processes.

Cost: a forward and a backward pass, and a cut of each image on the CPU. Expected: ImageNet top-1 of DeiT-T 73.85,
DeiT-S 80.45, DeiT-B 81.63, PVT-T 75.48, PVT-S 79.70 (openmixup, docs/en/mixup_benchmarks/Mixup_imagenet.md; its loss
uses one lambda of the batch). ``make table2 METHODS=cutmix,puzzlemix``.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from transmix.common.errors import UserError
from transmix.common.lazy import np, torch
from transmix.common.ranges import Range
from transmix.methods import Method
from transmix.methods._draws import draw_partners, draw_share, in_place_of_cutmix, to_pixels
from transmix.methods._graph_cut import SOLVERS
from transmix.methods._step import Step
from transmix.mixing import Mix

if TYPE_CHECKING:
    import numpy
    from torch import Tensor

    from transmix.methods._graph_cut import Solver

METHOD = Method(
    title="PuzzleMix",
    settings={"mixup_alpha": 0.0},
    position=210,
    options={
        "solver": "exact",
        "weights": 3,
        "beta": 1.2,
        "gamma": 0.5,
        "eta": 0.2,
        "pooled": 4,
        "transport": True,
        "distance": 0.8,
    },
    choices={"solver": ("exact", "gco")},
    ranges={
        "weights": Range(2, 16),
        **dict.fromkeys(("beta", "gamma", "eta", "distance"), Range(0, 10)),
        "pooled": Range(1, 64),
    },
    passes="a forward and a backward pass, a graph cut of each image",
    extra_passes=3,
    published=("PuzzleMix",),
)
SIDES = (2, 4, 8, 16)  # blocks a side
IMAGENET_STD = (0.229, 0.224, 0.225)


def mix(step: Step) -> Mix:
    """A cut for each pair."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    images, options = step.images, step.options
    sides = [side for side in SIDES if not any(length % side for length in images.shape[-2:])]
    if not sides:
        raise UserError(f"mixer=puzzlemix needs blocks of equal size: image_size={images.shape[-1]} must be even")
    side = int(step.rng.choice(sides))
    kept, partner = 1 - draw_share(step), draw_partners(step)
    saliency = step.input_gradient().square().mean(1).sqrt()
    std = getattr(step.model, "pretrained_cfg", {}).get("std", IMAGENET_STD)
    energy = {name: options[name] for name in ("weights", "beta", "gamma", "eta", "pooled")}
    masks = cut_masks(images, saliency, partner, side, kept, std, SOLVERS[options["solver"]], **energy)
    return puzzle(images, saliency, partner, masks, options["distance"] if options["transport"] else None)


def cut_masks(
    images: Tensor,
    saliency: Tensor,
    partner: Tensor,
    side: int,
    kept: float,
    std: tuple[float, ...],
    solve: Solver,
    weights: int = 3,
    beta: float = 1.2,
    gamma: float = 0.5,
    eta: float = 0.2,
    pooled: int = 4,
) -> Tensor:
    """The own images' weights of the blocks: (B, side, side), of 0 to 1 in equal steps.

    Args:
        images: (B, C, H, W), normalised.
        saliency: (B, H, W).
        partner: (B,).
        side: blocks a side.
        kept: the own share that the prior asks for.
        std: by which the images were normalised.
        solve: one of `SOLVERS`.
        weights: how many a block may have.
        beta: smoothness of the mask.
        gamma: smoothness of the image.
        eta: strength of the prior.
        pooled: pixels, on each side, of which the mean counts for smoothness.
    """
    own = block_saliency(saliency, side)
    smooth = beta / side / 16
    unary = {"own": own.copy(), "partner": own[partner.tolist()]}
    edges = []
    for axis, facing in zip((1, 2), _facing_differences(images, partner, side, std, pooled), strict=True):
        facing = {pair: smooth * gamma * difference for pair, difference in facing.items()}
        first, second = (
            tuple(slice(*ends) if i == axis else slice(None) for i in range(3)) for ends in ((None, -1), (1, None))
        )
        for image, other in (("own", "partner"), ("partner", "own")):
            # where an image is shown the other's saliency is lost, and half of a seam is paid on each of its sides
            unary[other][first] += (facing[image, other] + facing[image, image]) / 2
            unary[other][second] += (facing[other, image] + facing[image, image]) / 2
        mixed = facing["own", "partner"] + facing["partner", "own"]
        edges.append((mixed - facing["own", "own"] - facing["partner", "partner"]) / 2 + np.float32(smooth))
    scale, steps = 1000 * side**2, np.linspace(0, 1, weights)
    prior = [comb(weights - 1, i) * kept ** (weights - 1 - i) * (1 - kept) ** i for i in range(weights)]
    prior = -np.log(np.array(prior) + 1e-8) * eta / side**2
    # a block of weight 1 - t costs what the images' other part would have shown
    cost = (1 - steps) * unary["partner"][..., None] + steps * unary["own"][..., None] + prior
    cost, *edges = ((scale * values).astype(np.int32) for values in (cost, *edges))
    labels = np.stack([solve(*pair) for pair in zip(cost, *edges, strict=True)])
    return torch.from_numpy(1 - labels / (weights - 1)).to(images)


def block_saliency(saliency: Tensor, side: int) -> numpy.ndarray:
    """Saliency of the blocks, of an image one in sum: (B, side, side)."""
    blocks = torch.nn.functional.avg_pool2d(saliency[:, None], [length // side for length in saliency.shape[1:]])[:, 0]
    return (blocks / blocks.sum((1, 2), keepdim=True).clamp(min=1e-12)).cpu().numpy()


def _facing_differences(
    images: Tensor, partner: Tensor, side: int, std: tuple[float, ...], pooled: int
) -> list[dict[tuple[str, str], numpy.ndarray]]:
    """Mean absolute difference, in pixels of 0 to 1, where neighbouring blocks of two images face each other.

    Returns:
        for blocks one above the other (B, side - 1, side), and side by side (B, side, side - 1): for each image of
        the first block and image of the second.
    """
    block = images.shape[-1] // side
    pooled = max(divisor for divisor in range(1, min(pooled, block) + 1) if block % divisor == 0)
    pixels = images * torch.tensor(std, device=images.device).view(-1, 1, 1)
    pixels = torch.nn.functional.avg_pool2d(pixels, pooled)
    given, k = {"own": pixels, "partner": pixels[partner]}, block // pooled
    found: list[dict[tuple[str, str], numpy.ndarray]] = []
    for axis, along in ((2, (1, k)), (3, (k, 1))):
        last, first = (
            tuple(slice(*ends, k) if i == axis else slice(None) for i in range(4)) for ends in ((k - 1, -1), (k, None))
        )
        across = {}
        for one, image in given.items():
            for two, other in given.items():
                difference = (image[last] - other[first]).abs().mean(1, keepdim=True)
                across[one, two] = torch.nn.functional.avg_pool2d(difference, along)[:, 0].cpu().numpy()
        found.append(across)
    return found


def puzzle(images: Tensor, saliency: Tensor, partner: Tensor, masks: Tensor, distance: float | None) -> Mix:
    """Move blocks to where they are shown, and mix by the masks.

    Args:
        images: (B, C, H, W).
        saliency: (B, H, W).
        partner: (B,).
        masks: (B, n, n), the own images' weights.
        distance: what moving costs; None: blocks stay.
    """
    own, partners = images, images[partner]
    if distance is not None:
        blocks = block_saliency(saliency, masks.shape[-1])
        shown = masks.cpu().numpy()
        own = move_blocks(own, moves(blocks, shown > 0, distance))
        partners = move_blocks(partners, moves(blocks[partner.tolist()], 1 - shown > 0, distance))
    weights = to_pixels(masks, images.shape[-2:])
    return Mix(torch.lerp(partners, own, weights[:, None]), partner, 1 - masks.float().mean((1, 2)), weights < 0.5)


def moves(saliency: numpy.ndarray, shown: numpy.ndarray, distance: float) -> numpy.ndarray:
    """Which block each place gets, by rounds in which blocks ask for a place: (B, n * n), -1 for none.

    A block's cost at a place is `distance` times the squared distance (the grid's side is 1), less its saliency
    where the place is shown. In each of n rounds it asks for its cheapest place; of those that ask for one the
    cheapest gets it, and for the others it becomes dearer by 1. The last round counts. A place that is not asked
    for at less than no cost stays empty, as in the published code; it is one that is not shown.

    Args:
        saliency: (B, n, n), of the blocks.
        shown: (B, n, n) bool, of the places.
        distance: see above.
    """
    count, side = saliency.shape[:2]
    places = np.stack(np.divmod(np.arange(side**2), side), 1)
    squared = ((places[:, None] - places) ** 2).sum(-1) / (side - 1) ** 2
    gain = saliency.reshape(count, -1, 1) * shown.reshape(count, 1, -1).astype(np.float32)
    cost = np.float32(distance) * squared.astype(np.float32) - gain
    for _ in range(side):
        asks = np.zeros_like(cost)
        np.put_along_axis(asks, cost.argmin(2)[..., None], 1, 2)
        winner = (asks * cost).argmin(1)[:, None]
        wins = np.take_along_axis(asks, winner, 1) > 0
        np.put_along_axis(asks, winner, 0, 1)
        cost += asks
    return np.where(wins, winner, -1)[:, 0]


def move_blocks(images: Tensor, source: numpy.ndarray) -> Tensor:
    """Images with their blocks moved: block j of image i is its block ``source[i, j]``, or 0 where that is -1."""
    count, channels, height, width = images.shape
    side = int(source.shape[1] ** 0.5)
    blocks = images.unflatten(3, (side, -1)).unflatten(2, (side, -1))  # (B, C, n, h, n, w)
    blocks = blocks.transpose(3, 4).flatten(2, 3)  # (B, C, n * n, h, w)
    index = torch.from_numpy(source).to(images.device)
    moved = blocks.gather(2, index.clamp(min=0)[:, None, :, None, None].expand_as(blocks))
    moved = torch.where(index[:, None, :, None, None] >= 0, moved, 0.0)
    return moved.unflatten(2, (side, side)).transpose(3, 4).reshape(count, channels, height, width)
