"""A compact 2D network: X-ray frame to the chance of vessel and of catheter or guidewire in every pixel.

A U-Net (Ronneberger et al., MICCAI 2015) that starts from `stem` x `stem` pixels at once and tells its answer at half
the size of the frame: there a vessel of 1 mm still has two pixels across, and interpolation brings its wall back to a
fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from autocar_ros.imaging.enhance import Float32Array, float32
from autocar_ros.types import Image
from autocar_ros.weights import Calibrated, Described

KIND = "segmentation"  # of weights (weights.py)
CLASSES = ("vessel", "catheter")  # channels of the answer; a pixel may be both
ANSWER = 2  # px of the frame per pixel of the answer, along an edge
DARK = 0.05  # of the frame's range, added before the logarithm
LOCAL = 8.0  # standard deviation of the local mean, in px of 1/8 size
LEAST_SPREAD = 0.01  # log: a frame with less detail is taken as empty
CLIP = 6.0  # spreads; what is darker or brighter is a blade or a burnt-in letter


@dataclass(frozen=True)
class Architecture(Described):
    """Shape of the network; travels with its weights."""

    widths: tuple[int, ...] = (24, 48, 64, 96, 96)  # channels from the finest level to the coarsest
    stem: int = 4  # px taken together at the finest level
    blocks: int = 1  # convolutions of a level on each way
    separable: bool = False  # depthwise and 1 x 1 in place of full convolutions

    @property
    def multiple(self) -> int:
        """Rows and columns of its input are multiples of so many px."""
        return self.stem << (len(self.widths) - 1)


class VesselNetwork(Calibrated):
    """Frames on one footing (B, 1, rows, columns) to logits (B, 2, rows / 2, columns / 2) of `CLASSES`."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or Architecture()
        full = a.widths[0]
        self.enter = _layer(a.stem**2, full, separable=False)
        pairs = list(zip(a.widths, a.widths[1:], strict=False))
        self.down = nn.ModuleList([_level(fine, a) for fine in a.widths])
        self.widen = nn.ModuleList([_layer(fine, coarse, a.separable, stride=2) for fine, coarse in pairs])
        self.narrow = nn.ModuleList([nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs])
        self.up = nn.ModuleList([_level(fine, a) for fine, _ in pairs])
        self.out = nn.Conv2d(full, len(CLASSES) * (a.stem // ANSWER) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.enter(_together(x, self.architecture.stem))
        skips = []
        for level, widen in zip(self.down, [*self.widen, None], strict=True):
            x = level(x)
            skips.append(x)
            x = widen(x) if widen is not None else x
        for level, narrow, skip in reversed(list(zip(self.up, self.narrow, skips, strict=False))):
            x = level(_with_enlarged(skip, _pointwise(narrow, x)))
        return _apart(_pointwise(self.out, x), self.architecture.stem // ANSWER)


def _together(x: Tensor, stem: int) -> Tensor:
    """`functional.pixel_unshuffle`, straight into channels-last order."""
    batch, _, rows, columns = x.shape
    cells = x.view(batch, rows // stem, stem, columns // stem, stem).permute(0, 1, 3, 2, 4)
    return cells.reshape(batch, rows // stem, columns // stem, stem**2).permute(0, 3, 1, 2)


def _apart(x: Tensor, factor: int) -> Tensor:
    """`functional.pixel_shuffle`, in less than half the time out of channels-last order."""
    batch, _, rows, columns = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(batch, rows, columns, -1, factor, factor)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, rows * factor, columns * factor)


def _with_enlarged(fine: Tensor, coarse: Tensor) -> Tensor:
    """Sum of a level and the next coarser one, enlarged to twice its size without being written out."""
    batch, width, rows, columns = coarse.shape
    cells = fine.permute(0, 2, 3, 1).reshape(batch, rows, 2, columns, 2, width)
    total = cells + coarse.permute(0, 2, 3, 1)[:, :, None, :, None]
    return total.reshape(batch, 2 * rows, 2 * columns, width).permute(0, 3, 1, 2)


def _pointwise(convolution: nn.Module, x: Tensor) -> Tensor:
    """1 x 1 convolution as a matrix product, which on one core is faster than torch's own."""
    weight, bias = convolution.weight, convolution.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return functional.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)


def _layer(given: int, made: int, separable: bool, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, rectification."""
    if separable:
        return nn.Sequential(
            nn.Conv2d(given, given, 5, stride, padding=2, groups=given, bias=False),
            nn.BatchNorm2d(given),
            nn.Conv2d(given, made, 1, bias=False),
            nn.BatchNorm2d(made),
            nn.ReLU(inplace=True),
        )
    return nn.Sequential(
        nn.Conv2d(given, made, 3, stride, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU(inplace=True)
    )


def _level(width: int, a: Architecture) -> nn.Sequential:
    return nn.Sequential(*(_layer(width, width, a.separable) for _ in range(a.blocks)))


def footing(image: Image) -> Float32Array:
    """Bring a frame of any depth and gain to one footing: log intensity above its local mean, in spreads.

    Parameters
    ----------
    image : (rows, columns) uint8 or uint16, vessels dark

    Returns
    -------
    (rows, columns) float32 in [-CLIP, CLIP], vessels negative; a gain of the frame changes nothing, and neither does
    a contrast of the whole. All zero for an empty frame.
    """
    intensity = float32(image)
    top = float(np.percentile(intensity[::8, ::8], 99))
    if top <= 0:
        return np.zeros(image.shape, np.float32)
    log = float32(cv2.log(intensity * np.float32(1 / top) + np.float32(DARK)))
    rows, columns = image.shape
    small = cv2.resize(log, (-(-columns // 8), -(-rows // 8)), interpolation=cv2.INTER_AREA)
    local = cv2.GaussianBlur(small, (0, 0), LOCAL, borderType=cv2.BORDER_REPLICATE)
    detail = log - float32(cv2.resize(local, (columns, rows), interpolation=cv2.INTER_LINEAR))
    spread = 1.48 * float(np.median(np.abs(detail[::4, ::4])))
    if spread < LEAST_SPREAD:
        return np.zeros(image.shape, np.float32)
    return float32(np.clip(detail * np.float32(1 / spread), -CLIP, CLIP))


def fast(network: VesselNetwork) -> VesselNetwork:
    """Same network for inference: normalisation folded into the convolutions, memory in channels-last order."""
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fold(module)
    folded: VesselNetwork = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


def _fold(layers: nn.Sequential) -> None:
    for k in range(len(layers) - 1):
        first, second = layers[k], layers[k + 1]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            layers[k], layers[k + 1] = fuse_conv_bn_eval(first.eval(), second.eval()), nn.Identity()
