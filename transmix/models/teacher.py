"""A frozen model beside the one that is trained: its attention labels, or a mixing method looks at its features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmix.common.files import named_file
from transmix.models.local import load_classifier


class Teacher(nn.Module):
    """A frozen model that takes images as the student does, whatever its own normalisation and size.

    Args:
        model: the model.
        image_size: (height, width) that it is made for; images of another size are resized (bilinear).
        mean: of its normalisation, per channel of pixels in [0, 1].
        std: of its normalisation.
        given_mean: of the images that come.
        given_std: of the images that come.
    """

    def __init__(
        self,
        model: nn.Module,
        image_size: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
        given_mean: Sequence[float],
        given_std: Sequence[float],
    ) -> None:
        super().__init__()
        self.model, self.image_size = model.requires_grad_(False).eval(), tuple(image_size)
        (mean, std), (given_mean, given_std) = (
            [torch.tensor(x).view(-1, 1, 1) for x in p] for p in ((mean, std), (given_mean, given_std))
        )
        self.register_buffer("scale", given_std / std, persistent=False)
        self.register_buffer("shift", (given_mean - mean) / std, persistent=False)
        self._alike = torch.equal(mean, given_mean) and torch.equal(std, given_std)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) images, normalised for the student, to logits."""
        return self.model(self.view(images))

    def view(self, images: Tensor) -> Tensor:
        """Images as the teacher takes them."""
        if not self._alike:
            images = images * self.scale + self.shift
        if images.shape[-2:] != self.image_size:
            images = F.interpolate(images, self.image_size, mode="bilinear", antialias=True)
        return images


def load_teacher(spec: str, given_mean: Sequence[float], given_std: Sequence[float]) -> Teacher:
    """The teacher that a recipe names.

    Args:
        spec: a weights file that this suite wrote, or ``NAME:FILE`` with timm's name of the model in the file.
        given_mean: how the images are normalised that it will be given.
        given_std: likewise.

    Raises:
        UserError: an unknown name; a file that is missing, unreadable or another model's.
    """
    name, file = named_file(spec)
    model, config, _ = load_classifier(name, file)
    return Teacher(model, config["input_size"][1:], config["mean"], config["std"], given_mean, given_std)
