"""What the methods make of the inputs of a reference case: everything that such a case may expect."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from transmix.labels import attention_share, box_mask, mixed_targets
from transmix.methods import (
    attentivemix,
    fmix,
    gridmix,
    maskmix,
    mixpro,
    puzzlemix,
    resizemix,
    saliencymix,
    smmix,
    tokenmix,
)
from transmix.methods._draws import batch_share, to_pixels
from transmix.methods._graph_cut import SOLVERS
from transmix.mixing import Mix, paste

Values = dict[str, Any]


def tensor(values: Any) -> Tensor:
    """Numbers in double precision, so that what is compared is the method."""
    return torch.tensor(values, dtype=torch.float64)


def of_mix(mix: Mix) -> Values:
    """What cases expect of a mixed batch."""
    return {"pasted_mask": mix.pasted, "mixed": mix.images, "lam_pasted": mix.lam, "lam_own": 1 - mix.lam}


def saliency_mix(given: Values) -> Values:
    images, partner = tensor(given["images"]), torch.tensor(given["partner"])
    box = saliencymix.salient_box(tensor(given["saliency_maps"])[partner[0]], given["lam_drawn"])
    values = of_mix(paste(images, box_mask(box, images.shape[-2:]), partner))
    return values | {"box_r1_c1_r2_c2": [box.y1, box.x1, box.y2, box.x2]}


def attentive_mix(given: Values) -> Values:
    images, scores = tensor(given["images"]), tensor(given["features"]).mean(1)
    kept = attentivemix.cells_to_keep(scores[0].numel(), given["lam_drawn"], given.get("top_k"))
    own = to_pixels(attentivemix.best_cells(scores, kept), images.shape[-2:])
    return of_mix(paste(images, ~own, torch.tensor(given["partner"]))) | {"kept_mask": own, "top_k_used": kept}


def attentive_cutmix(given: Values) -> Values:
    images = torch.stack([tensor(given[f"{whose}_image_hwc"]) for whose in ("own", "partner")]).permute(0, 3, 1, 2)
    scores = tensor(given["feature_map_last_two_channels"])[-1:]
    best = attentivemix.best_cells(scores, attentivemix.cells_to_keep(scores.numel(), 0.0, given["top_k"]))
    mix = paste(images, ~to_pixels(best, images.shape[-2:]).expand(2, -1, -1), torch.tensor([1, 0]))
    return {
        "regions_row_col": best[0].nonzero(),
        "kept_mask": ~mix.pasted[0],
        "pasted_mask": mix.pasted[0],
        "lam_own": 1 - mix.lam[0],
        "lam_pasted": mix.lam[0],
        "mixed_hwc": mix.images[0].permute(1, 2, 0),
    }


def f_mix(given: Values) -> Values:
    images = tensor(given["images"])
    noise, size = np.array(given["noise"]).reshape(given["noise_shape"])[0], tuple(images.shape[-2:])
    field = fmix.low_frequencies(noise, size, given["decay_power"], as_published=True)
    own = torch.from_numpy(fmix.own_mask(field, given["lam_drawn"], given["round_up"], given["max_soft"]))
    mix = fmix.blend(images, own, 1 - given["lam_drawn"], torch.tensor(given["partner"]))
    return of_mix(mix) | {
        "low_freq_image": field,
        "own_mask": own,
        "own_mask_mean": own.mean(),
        "pasted_mask": (1 - own).expand(len(images), -1, -1),
    }


def resize_mix(given: Values) -> Values:
    images = tensor(given["images"])
    small = resizemix.shrunk(images, given["rate"])
    centres = zip(given["centre_row"], given["centre_col"], strict=True)
    boxes = [resizemix.box_inside(images.shape[-2:], small.shape[-2:], centre) for centre in centres]
    values = of_mix(resizemix.paste_small(images, small, boxes, torch.tensor(given["partner"])))
    return values | {
        "boxes_r1_c1_r2_c2": [[box.y1, box.x1, box.y2, box.x2] for box in boxes],
        "small_size": list(small.shape[-2:]),
    }


def resize_mix_of_openmixup(given: Values) -> Values:
    images = tensor(given["images"])
    box = resizemix.clipped_box(images.shape[-2:], given["tao"], (given["centre_row"], given["centre_col"]))
    small = resizemix.squeezed(images, box, given.get("interpolate_mode", "nearest"))
    values = of_mix(resizemix.paste_small(images, small, [box] * len(images), torch.tensor(given["partner"])))
    return values | {"box_r1_c1_r2_c2": [box.y1, box.x1, box.y2, box.x2]}


def grid_mix(given: Values) -> Values:
    images = tensor(given["images"])
    pasted = gridmix.grid_of_holes(
        tuple(images.shape[-2:]),
        1 - given["lam_drawn"],
        given["n_holes"],
        given["cut_area_ratio"],
        given["cut_aspect_ratio"],
        (given["u_y"], given["u_x"]),
        given["hole_aspect_ratio"],
        as_published=True,
    )
    return of_mix(paste(images, pasted, torch.tensor(given["partner"])))


def token_mix_mask(given: Values) -> Values:
    uniform, integers, tokens = iter(given["uniform_draws"]), iter(given["randint_draws"]), given["grid"] ** 2
    target = tokenmix.tokens_to_paste(tokens, given["lam_constant"], given["minimum_tokens"])
    mask = tokenmix.block_mask((given["grid"],) * 2, target, lambda *_: next(uniform), lambda *_: next(integers))
    count = int(mask.sum())
    return {
        "target_tokens": target,
        "pasted_mask_tokens": mask,
        "masked_tokens": count,
        "lam_area_own": 1 - count / tokens,
    }


def token_mix_labels(given: Values) -> Values:
    labels, partner = torch.tensor(given["labels"]), torch.tensor(given["partner"])
    maps = tensor(given["label_maps_of_own_class"])
    own, pasted = tokenmix.map_shares(maps, tensor(given["pasted_mask_tokens"]), partner)
    target = tokenmix.share_targets(
        labels, labels[partner], own, pasted, given["num_classes"], given["smoothing"], as_published=True
    )
    return {"own_share": own, "pasted_share": pasted, "target": target}


def mask_mix(given: Values) -> Values:
    images, orders = tensor(given["images"]), torch.tensor(given["cell_permutations"])
    labels, partner = torch.tensor(given["labels"]), torch.tensor(given["partner"])
    grid = tuple(side // given["model_patch"] for side in images.shape[-2:])
    tokens = given["mask_patch"] // given["model_patch"]
    cells, kept = maskmix.cells_and_kept(grid, tokens, given["lam_drawn"])
    own = maskmix.kept_tokens(orders, kept, tokens, grid)
    lam = batch_share(1 - kept / cells**2, images)
    mix = paste(images, to_pixels(~own, images.shape[-2:]), partner, lam)
    return of_mix(mix) | {
        "cells_per_side": cells,
        "kept_cells": kept,
        "own_mask_tokens": own,
        "true_pixel_share_own": 1 - mix.pasted.double().mean((1, 2)),
        "target": mixed_targets(labels, labels[partner], lam, given["num_classes"], given["smoothing"]),
    }


def progressive_attention_labels(given: Values) -> Values:
    labels, partner = torch.tensor(given["labels"]), torch.tensor(given["partner"])
    classes, logits = given["num_classes"], tensor(given["logits"])
    area = batch_share(1 - given["lam_area_own"], logits)
    attention = attention_share(tensor(given["attention"]), 1 - tensor(given["own_mask_tokens"]).flatten(1))
    by_area = mixed_targets(labels, labels[partner], area, classes, given["smoothing"])
    lam, similarity = mixpro.progressive_share(logits, by_area, attention, area)
    targets = mixed_targets(labels, labels[partner], lam, classes, 0.0)
    return {
        "lam_attention_own": 1 - attention,
        "similarity": similarity,
        "lam_own": 1 - lam,
        "lam_pasted": lam,
        "loss": torch.nn.functional.cross_entropy(logits, targets.double()),
    }


def sm_mix(given: Values) -> Values:
    images, partner, side = tensor(given["images"]), torch.tensor(given["partner"]), given["rectangle_side"]
    grid = (given["side"],) * 2
    least, most = smmix.salient_windows(tensor(given["attention"]).unflatten(1, grid), side)
    mix = smmix.paste_windows(images, grid, side, least, most[partner], partner)
    values = of_mix(mix) | {
        "min_region_top_left_own": least,
        "max_region_top_left_own": most,
        "paste_from_top_left_in_partner": most[partner],
        "pasted_mask_tokens": mix.pasted[:, :: given["patch"], :: given["patch"]],
    }
    if "logits_mixed" not in given:
        return values
    labels, classes, smoothing = torch.tensor(given["labels"]), given["num_classes"], given["smoothing"]
    output, outside, inside, clean = (
        torch.tensor(given[f"logits_{which}"]) for which in ("mixed", "target_region", "source_region", "unmixed_eval")
    )
    targets = mixed_targets(labels, labels[partner], mix.lam, classes, smoothing)
    cls = torch.nn.functional.cross_entropy(output, targets)
    fine = smmix.region_loss(outside, inside, labels, labels[partner], classes, smoothing)
    con = smmix.consistency_loss(output, clean, mix.lam, partner)
    return values | {"loss_cls": cls, "loss_fine": fine, "loss_con": con, "loss_total": cls + fine + con}


def puzzle_mix(given: Values, solver: str) -> Values:
    images, saliency = (torch.tensor(given[name]) for name in ("images_normalised", "gradient_saliency"))
    partner = torch.tensor(given["partner"])
    names = {"weights": "n_labels", "beta": "beta", "gamma": "gamma", "eta": "eta", "pooled": "neigh_size"}
    energy = {name: given[theirs] for name, theirs in names.items()}
    masks = puzzlemix.cut_masks(
        images,
        saliency,
        partner,
        given["block_num"],
        given["lam_drawn"],
        given["std"],
        SOLVERS[solver],
        **energy,
    )
    mix = puzzlemix.puzzle(images, saliency, partner, masks, given["t_eps"] if given["transport"] else None)
    blocks, shown = puzzlemix.block_saliency(saliency, given["block_num"]), masks.numpy()
    return of_mix(mix) | {
        "own_mask_blocks": masks,
        "pasted_mask_blocks": 1 - masks,
        "pasted_mask": 1 - to_pixels(masks, images.shape[-2:]),
        "own_block_source_for_each_destination": puzzlemix.moves(blocks, shown > 0, given["t_eps"]),
        "partner_block_source_for_each_destination": puzzlemix.moves(blocks[partner], 1 - shown > 0, given["t_eps"]),
    }
