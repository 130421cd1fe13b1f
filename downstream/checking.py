"""The data sets of a configuration, looked at whole before the first step, as the library will read them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from downstream.reading import readable
from experiments.dense.coco import prepare_list
from experiments.dense.label_maps import check_label_maps
from transmix.common.errors import UserError
from transmix.data.copies import copies_of_files
from transmix.training.checkpoints import first_reason

FINE_TUNING = {"train": "train_dataloader", "val": "test_dataloader"}  # what is read, by the split that it is
TOOLS = {"train": {"train": "train_dataloader", "val": "val_dataloader"}, "test": {"val": "test_dataloader"}}
EVALUATORS = ("val_evaluator", "test_evaluator")
_READING = "downstream.reading"  # has the steps that `readable` puts in


class UnknownLayout(Exception):
    """A data set is of no layout that is checked here."""


def check_data(config: Config, cache: Path, loaders: Mapping[str, str] = FINE_TUNING) -> tuple[str, ...]:
    """Check images with their annotations; a list of COCO's format is read from a mended copy where it needs one.

    Args:
        config: of mmseg or mmdet, pointed at its data; for mmdet, the paths of its lists are put in.
        cache: where it is kept that they were found whole, and the mended copies.
        loaders: those of which the data is checked, by split.

    Returns:
        What was mended or left out, and what is of a layout that is not checked.

    Raises:
        UserError: names what is wrong, the remedy, and how many more there are.
    """
    return _check(config, cache, loaders)[0]


def check_tools_data(config: Config, cache: Path, tool: str) -> tuple[str, ...]:
    """`check_data` for a library's own ``train`` or ``test``, which is made to read files as a run does.

    Images that are there twice are said, too; errors as `check_data`.
    """
    notes, images = _check(config, cache, TOOLS[tool])
    if len(images) == 2:
        notes += copies_of_files(*images.values(), cache)
    for loader in TOOLS[tool].values():
        for dataset in data_sets(config, loader):
            if "pipeline" in dataset:
                dataset.pipeline = readable(dataset.pipeline, config.default_scope)
    if "tta_pipeline" in config:
        config.tta_pipeline = readable(config.tta_pipeline, config.default_scope)
    imports = config.get("custom_imports") or {"imports": []}
    config.custom_imports = {**imports, "imports": [*imports["imports"], _READING]}
    return notes


def data_sets(config: Config, loader: str) -> Iterator[dict[str, Any]]:
    """The data sets of a loader, without what repeats, joins or mixes them; none where there is no such loader."""

    def inside(dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
        parts = dataset.get("datasets") or [dataset[name] for name in ("dataset",) if name in dataset]
        for part in parts:
            yield from inside(part)
        if not parts:
            yield dataset

    if config.get(loader):
        yield from inside(config[loader].dataset)


def _check(config: Config, cache: Path, loaders: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Notes, and the paths of all images by split."""
    notes: tuple[str, ...] = ()
    images: dict[str, list[str]] = {}
    look = _check_segments if config.default_scope == "mmseg" else _check_list
    for split, loader in loaders.items():
        for number, dataset in enumerate(data_sets(config, loader)):
            try:
                found, said = look(config, dataset, f"{split}{number or ''}", cache)
            except UnknownLayout:
                said = (f"{loader}: data of {dataset.get('type')} are of no layout that is known here: not checked",)
            except UserError:
                raise
            except Exception as error:  # data sets are the libraries', or somebody's own
                raise UserError(
                    f"data of {loader} cannot be read ({type(error).__name__}: {first_reason(error)}): see to its "
                    "data_root, data_prefix and ann_file"
                ) from error
            else:
                images.setdefault(split, []).extend(found)
            notes += said
    return notes, images


def _check_segments(
    config: Config, dataset: dict[str, Any], name: str, cache: Path
) -> tuple[list[str], tuple[str, ...]]:
    from mmseg.datasets import BaseSegDataset

    kind, steps = _kind(config, dataset), {step["type"] for step in dataset.get("pipeline", ())}
    if not issubclass(kind, BaseSegDataset) or "LoadAnnotations" not in steps:
        raise UnknownLayout
    with DefaultScope.overwrite_default_scope(config.default_scope):
        made = DATASETS.build({**dataset, "pipeline": []})
    found = [made.get_data_info(index) for index in range(len(made))]
    if not found:
        raise UserError(f"no images (*{made.img_suffix}) in {made.data_prefix['img_path']}: copy them again")
    if made.seg_map_suffix != ".png" or "seg_map_path" not in found[0]:
        raise UnknownLayout
    pairs = [(entry["img_path"], entry["seg_map_path"]) for entry in found]
    own = made.label_map is not None  # then files hold the numbers of the data set's own classes
    classes = kind.METAINFO["classes"] if own else made.metainfo["classes"]
    check_label_maps(pairs, len(classes), made.reduce_zero_label, cache, name)
    return [image for image, _ in pairs], ()


def _check_list(config: Config, dataset: dict[str, Any], name: str, cache: Path) -> tuple[list[str], tuple[str, ...]]:
    from mmdet.datasets import CocoDataset

    kind = _kind(config, dataset)
    same = issubclass(kind, CocoDataset) and kind.load_data_list is CocoDataset.load_data_list
    if not same or kind.parse_data_info is not CocoDataset.parse_data_info or not dataset.get("ann_file"):
        raise UnknownLayout
    root = Path(dataset.get("data_root") or "")
    path = root / dataset["ann_file"]
    folder = root / dataset.get("data_prefix", {}).get("img", "")
    if not path.is_file():
        raise UserError(f"{path} is not there: see to data_root and ann_file")
    prepared = prepare_list(path, folder, cache, name.startswith("train"))
    dataset["ann_file"] = str(prepared.path.absolute())
    for evaluator in EVALUATORS:
        found = config.get(evaluator) or []
        for metric in found if isinstance(found, list) else [found]:
            if metric.get("ann_file") and os.path.abspath(metric["ann_file"]) == os.path.abspath(path):
                metric["ann_file"] = dataset["ann_file"]
    return list(prepared.images), prepared.notes + _of_other_classes(path, prepared.classes, dataset, kind)


def _of_other_classes(path: Path, listed: tuple[str, ...], dataset: dict[str, Any], kind: type) -> tuple[str, ...]:
    """A line about categories that the configuration has no class for: mmdet leaves their objects out.

    Raises:
        UserError: it has none of them.
    """
    known = dataset.get("metainfo", {}).get("classes") or kind.METAINFO.get("classes", ())
    foreign = [name for name in listed if name not in known]
    if len(foreign) == len(listed):
        raise UserError(
            f"{path}: none of its categories ({foreign[0]!r}, ...) is a class of the configuration: give its data "
            "sets metainfo=dict(classes=(...)), and its heads that number of classes"
        )
    return (
        (
            f"{path}: {len(foreign)} of {len(listed)} categories, {foreign[0]!r} first, are no classes of the "
            "configuration: their objects are left out",
        )
        if foreign
        else ()
    )


def _kind(config: Config, dataset: dict[str, Any]) -> type:
    kind = dataset["type"]
    with DATASETS.switch_scope_and_registry(dataset.get("_scope_", config.default_scope)) as registry:
        found = registry.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise KeyError(f"no data set {kind}")
    return found
