"""The data set of a configuration, looked at whole before the first step, as the library will read it."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from experiments.dense.coco import prepare_list
from experiments.dense.label_maps import check_label_maps
from transmix.common.errors import UserError

SPLITS = {"train": "train_dataloader", "val": "test_dataloader"}


def check_data(config: Config, cache: Path) -> tuple[str, ...]:
    """Check images with their annotations; a list of COCO's format is read from a mended copy where it needs one.

    Args:
        config: of mmseg or mmdet, pointed at its data; for mmdet, the paths of its lists are put in.
        cache: where it is kept that they were found whole, and the mended copies.

    Returns:
        What was mended or left out.

    Raises:
        UserError: names what is wrong, the remedy, and how many more there are.
    """
    if config.default_scope == "mmseg":
        for split, loader in SPLITS.items():
            _check_segments(config, split, loader, cache)
        return ()
    notes: tuple[str, ...] = ()
    for split, loader in SPLITS.items():
        dataset = config[loader].dataset
        root = Path(dataset.data_root)
        prepared = prepare_list(root / dataset.ann_file, root / dataset.data_prefix.img, cache, split == "train")
        dataset.ann_file = str(prepared.path.absolute())
        if split == "val":
            config.test_evaluator.ann_file = dataset.ann_file
        notes += prepared.notes
    return notes


def _check_segments(config: Config, split: str, loader: str, cache: Path) -> None:
    with DefaultScope.overwrite_default_scope(config.default_scope):
        dataset = DATASETS.build({**config[loader].dataset, "pipeline": []})
    found = [dataset.get_data_info(index) for index in range(len(dataset))]
    if not found:
        raise UserError(f"no images (*{dataset.img_suffix}) in {dataset.data_prefix['img_path']}: copy them again")
    pairs = [(entry["img_path"], entry["seg_map_path"]) for entry in found]
    check_label_maps(pairs, len(dataset.metainfo["classes"]), dataset.reduce_zero_label, cache, split)
