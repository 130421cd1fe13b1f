"""What a training run is: every setting that changes its result, and nothing else. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import dataclass, field, fields, replace
from typing import Any

from transmix.common.errors import UserError, unknown_name
from transmix.common.ranges import KINDS, check, check_field, choice, number, said, text
from transmix.data.view import View
from transmix.labels import LABEL_RULES
from transmix.methods import Method, methods

ATTENTION_OF = ("student", "ema", "teacher")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos", "random")  # as timm names them
# timm's RandAugment: magnitude and its most, layers, probability, noise, increasing severity, set of operations
RAND_AUGMENT = (
    r"rand(-(m(10|\d)|mmax(10|[1-9])|n[1-9]|p(1(\.0*)?|0?\.\d+|0)|mstd(\d{1,2}|100)(\.\d+)?|inc[01]|t(weights|3aw?)))*"
)


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How images and labels are mixed: the part of a `Recipe` that `transmix.task.MixingTask` needs."""

    mixup_alpha: float = number(0.8, least=0, most=100)
    cutmix_alpha: float = number(1.0, least=0, most=100)
    mix_prob: float = number(1.0, least=0, most=1)
    switch_prob: float = number(0.5, least=0, most=1)  # share of CutMix batches among the mixed
    mixer: str | None = text(None)  # the method whose own functions mix; None: Mixup and CutMix as timm draws them
    mixer_code: str | None = text(None)  # what is in a user's own file of it: edited, it is another recipe
    mix_options: dict[str, Any] = field(default_factory=dict)  # its options that are not as its file has them
    as_published: bool = False  # with the known faults of the method's published code
    label_rule: str = choice("area", of=LABEL_RULES)  # area (CutMix), mean (TransMix), attention (Algorithm 1), oracle
    label_warmup_epochs: int = number(0, least=0, most=100_000)  # until then labels are by area
    attention_of: str = choice("student", of=ATTENTION_OF)  # whose attention labels are by
    attention_block: int = number(-1, least=-1000, most=1000)  # of the blocks that have class attention
    attention_head: int | None = number(None, least=0, most=1000)  # of that block; None: mean over all
    # frozen: a weights file of this suite's, or NAME:FILE with timm's name of the model
    teacher: str | None = text(None)
    smoothing: float = number(0.1, least=0, below=1)

    def __post_init__(self) -> None:
        check(self)
        if self.attention_of == "teacher" and self.teacher is None:
            raise UserError("attention_of=teacher needs a teacher: set teacher=FILE")
        method = self.method
        if method is None:
            if self.mix_options:
                raise UserError(f"mix_options.{min(self.mix_options)} belongs to no method: set mixer=METHOD, too")
            return
        if "teacher" in method.reads and self.teacher is None:
            raise UserError(f"mixer={self.mixer} needs a teacher: set teacher=FILE")
        object.__setattr__(self, "mix_options", _typed_options(method, self.mix_options))
        object.__setattr__(self, "mixer_code", self.mixer_code or method.code)  # a record's stays

    @property
    def method(self) -> Method | None:
        """The method whose own functions mix."""
        if self.mixer is None:
            return None
        known = {name: method for name, method in methods().items() if method.own}
        if self.mixer not in known:
            raise unknown_name("mixer", self.mixer, known)
        return known[self.mixer]

    @property
    def options(self) -> dict[str, Any]:
        """All options of the method that mixes."""
        return {} if self.method is None else self.method.options | self.mix_options


def _typed_options(method: Method, options: dict[str, Any]) -> dict[str, Any]:
    """Options of the types that the method's own have, without those that equal them."""
    typed = {}
    for name, value in options.items():
        if name not in method.options:
            raise unknown_name(f"mix_option of {method.name}", name, method.options)
        value = _typed_option(method, name, value)
        if value != method.options[name]:
            typed[name] = value
    ends = method.options | typed
    if "smallest" in ends and not ends["smallest"] <= ends["largest"]:
        raise UserError(
            f"mix_options.smallest={ends['smallest']:g}: must be at most mix_options.largest={ends['largest']:g}"
        )
    return typed


def _typed_option(method: Method, name: str, value: Any) -> Any:
    usual, allowed, where = method.options[name], method.ranges.get(name), f"mix_options.{name}"
    if value is None and usual is None:
        return None
    like = allowed.low if usual is None and allowed else usual
    if type(like) is float and type(value) is int and abs(value) <= sys.float_info.max:
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{said(where, value)}: must be finite")
    if type(value) is not type(like) and like is not None:
        raise UserError(f"{said(where, value)}: must be {KINDS[type(like)]}{' or none' * (usual is None)}")
    if name in method.choices and value not in method.choices[name]:
        raise unknown_name(where, value, method.choices[name])
    if allowed is not None and value not in allowed:
        raise UserError(f"{said(where, value)}: must be {allowed}")
    return value


@dataclass(frozen=True)
class Recipe(Mixing):
    """The settings of one training run. Units: epochs, images, pixels; rates are per optimizer step.

    What does not change the result (worker processes, where data lies, how often a checkpoint is written)
    is not here but in `transmix.common.runtime.Runtime`. How images and labels are mixed is inherited from `Mixing`.
    """

    # what is trained
    model: str = text()  # a timm model name, or one of transmix.models
    image_size: int = number(least=1, most=4096)  # pixels, square
    drop_path: float = number(0.1, least=0, below=1)
    # how long and how fast
    epochs: int = number(300, least=1, most=100_000)
    cooldown_epochs: int = number(0, least=0, most=100_000)  # further epochs at min_lr
    batch_size: int = number(1024, least=1, most=1_000_000)  # images per optimizer step, all processes together
    # images that share a forward pass and a mix; None: what one process gets
    micro_batch: int | None = number(None, least=1, most=1_000_000)
    lr: float = number(1e-3, above=0, most=10)  # peak, for that batch size
    min_lr: float = number(1e-5, least=0, most=10)
    warmup_lr: float = number(1e-6, least=0, most=10)
    warmup_epochs: int = number(5, least=0, most=100_000)
    lr_per_step: bool = False  # the schedule moves every step instead of every epoch
    weight_decay: float = number(0.05, least=0, most=10)  # not on biases, norms and what the model exempts
    # the rate falls by this factor a block, from the head to the patches
    layer_decay: float | None = number(None, above=0, most=1)
    clip_grad: float | None = number(None, above=0)  # maximal gradient norm
    precision: str = choice("fp32", of=PRECISIONS)  # tf32: matrix products and convolutions; bf16, fp16: autocast
    # how images are augmented
    crop_scale: tuple[float, float] = number((0.08, 1.0), least=0.01, most=1)  # area of the random crop
    interpolation: str = choice("bicubic", of=INTERPOLATIONS)
    hflip: float = number(0.5, least=0, most=1)
    rand_augment: str | None = text(
        "rand-m9-mstd0.5-inc1", form=RAND_AUGMENT, like="like rand-m9-mstd0.5-inc1, or none"
    )
    random_erasing: float = number(0.0, least=0, most=1)  # probability, pixel noise
    # times an image comes, differently augmented, in an epoch of as many images
    repeated_augmentation: int = number(1, least=1, most=64)
    resident: bool = False  # the set is decoded once and stays on the device, where batches are cropped and flipped
    # what is reported
    ema_decay: float | None = number(None, least=0, below=1)  # None: no moving average
    ema_warmup: bool = False
    report_ema: bool = False  # evaluate, report and hand on the EMA weights
    eval_crop: float = number(0.875, least=0.1, most=1)  # share of the resized image that the centre crop keeps
    eval_batch_size: int = number(256, least=1, most=1_000_000)
    evaluate_every: int = number(1, least=1, most=100_000)  # epochs between evaluations; the last is always evaluated

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.report_ema and self.ema_decay is None:
            raise UserError("report_ema=True needs ema_decay: set it (e.g. ema_decay=0.99996)")
        if self.attention_of == "ema" and self.ema_decay is None:
            raise UserError("attention_of=ema needs ema_decay: set it (e.g. ema_decay=0.99996)")
        if self.label_warmup_epochs > self.epochs:
            raise UserError(
                f"label_warmup_epochs={self.label_warmup_epochs}: must be at most epochs={self.epochs}, or label_rule "
                "has no effect"
            )
        if self.label_rule == "oracle" and not self.resident:
            raise UserError("label_rule=oracle needs the object masks that resident=True reads: add that")
        if self.micro_batch is not None and self.batch_size % self.micro_batch:
            raise UserError(f"micro_batch={self.micro_batch} does not divide batch_size={self.batch_size}")
        for name in ("min_lr", "warmup_lr"):
            if getattr(self, name) > self.lr:
                raise UserError(f"{name}={getattr(self, name):g}: must be at most lr={self.lr:g}, the peak")
        if self.warmup_epochs > self.epochs:
            raise UserError(
                f"warmup_epochs={self.warmup_epochs}: must be at most epochs={self.epochs}, or lr is never reached: "
                "set both"
            )
        if self.crop_scale[0] > self.crop_scale[1]:
            low, high = self.crop_scale
            raise UserError(f"crop_scale={low:g},{high:g}: the smaller share comes first")
        if 1 < self.repeated_augmentation >= self.batch_size:
            raise UserError(
                f"repeated_augmentation={self.repeated_augmentation}: must be below batch_size={self.batch_size}, or a "
                "batch shows one image"
            )

    def for_processes(self, processes: int) -> Recipe:
        """This recipe with `micro_batch` settled, so that it gives one result on any number of processes.

        Raises:
            UserError: the batch does not divide over them.
        """
        micro_batches = processes if self.micro_batch is None else self.batch_size // self.micro_batch
        if self.batch_size % micro_batches:
            raise UserError(f"batch_size={self.batch_size} does not divide over {processes} processes")
        if micro_batches % processes:
            raise UserError(
                f"{micro_batches} micro-batches of {self.micro_batch} images do not divide over {processes} processes: "
                "set micro_batch lower, or start fewer"
            )
        return replace(self, micro_batch=self.batch_size // micro_batches)

    @property
    def view(self) -> View:
        """How images are read for evaluation; the normalisation is the model's."""
        return View(
            self.image_size,
            self.interpolation,
            self.eval_crop,
            precision=self.precision,
            batch_size=self.eval_batch_size,
        )

    def evaluates(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, ends with an evaluation."""
        return (epoch + 1) % self.evaluate_every == 0 or epoch + 1 == self.total_epochs

    @property
    def total_epochs(self) -> int:
        """Epochs that are run: the schedule's and the cool-down."""
        return self.epochs + self.cooldown_epochs


def check_settings(settings: dict[str, Any]) -> None:
    """Raise `UserError` for a setting that no recipe has, naming the nearest, and for one that none can have so."""
    known = [field.name for field in fields(Recipe)]
    for name, value in settings.items():
        if name not in known:
            raise unknown_name("setting", name, known)
        check_field(Recipe, name, value)


def override(recipe: Recipe, **settings: Any) -> Recipe:
    """`recipe` with some settings changed; an unknown setting is an error that names the nearest.

    ``mix_options`` are added to those that the recipe has.
    """
    check_settings(settings)
    if "mixer" in settings:
        settings = {"mixer_code": None} | settings  # of this one, not of the one before
    if "mix_options" in settings:
        settings["mix_options"] = recipe.mix_options | settings["mix_options"]
    return replace(recipe, **settings)


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Settings from a command line, ``["lr=1e-3", "ema_decay=none"]``, typed as `Recipe` types them.

    Options of a method's own are written ``mix_options.NAME=VALUE``.
    """
    defaults = {field.name: field for field in fields(Recipe)}
    parsed: dict[str, Any] = {}
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, written = pair.partition("=")
        if (other := given.setdefault(name, written)) != written:
            raise UserError(f"setting {name} is given twice, {other[:40]} and {written[:40]}: give one")
        if name.startswith("mix_options.") and equals:
            parsed.setdefault("mix_options", {})[name.partition(".")[2]] = _literal(written)
            continue
        if name == "mix_options":
            raise UserError("mix_options are set one by one: write mix_options.NAME=VALUE")
        if name not in defaults:
            raise unknown_name("setting", name, defaults)
        if not equals:
            raise UserError(f"setting {name!r} has no value: write {name}=VALUE")
        parsed[name] = _parse(name, written, str(defaults[name].type))
        check_field(Recipe, name, parsed[name])
    return parsed


_WRITTEN = {"int": "a whole number", "float": "a number", "bool": "true or false", "tuple": "two numbers, LOW,HIGH"}


def _parse(name: str, written: str, annotation: str) -> Any:
    if written.lower() == "none" and "None" in annotation:
        return None
    try:
        if annotation.startswith("tuple"):
            low, high = map(float, written.split(","))
            return (low, high)
        if annotation.startswith("bool"):
            return {"true": True, "false": False}[written.lower()]
        converter = {"int": int, "float": float, "str": str}[annotation.split(" ")[0]]
        return converter(written)
    except (ValueError, KeyError):
        shown = written if len(written) <= 60 else f"{written[:60]}..."
        kind = annotation.split(" ")[0].partition("[")[0]
        wanted = _WRITTEN[kind] + " or none" * ("None" in annotation)
        raise UserError(f"setting {name}={shown!r}: write {wanted}") from None


def _literal(text: str) -> Any:
    """What a text says without being told its type: none, a truth value, a number, or itself."""
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def fingerprint(value: Any) -> str:
    """A hash (16 hex digits) of anything JSON can hold; equal settings have equal fingerprints."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
