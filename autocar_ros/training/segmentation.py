"""Training of the segmentation network: angiograms, loss and validation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from autocar_ros.config import SegmentationConfig
from autocar_ros.errors import ConfigError, InvalidInputError
from autocar_ros.imaging.pictures import read_image
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.imaging.vessel_network import ANSWER, KIND, Architecture, VesselNetwork, footing
from autocar_ros.synthetic.angiograms import DOUBTFUL, SURE, draw_angiogram
from autocar_ros.synthetic.cases import case_rng
from autocar_ros.synthetic.clutter import RealFrame
from autocar_ros.types import Mask

SIZE = 512  # px, of the pictures
TOGETHER = 4  # pictures of a sample: the normalisation wants more than one
VALIDATION_SAMPLES = 8
THRESHOLDS = tuple(round(0.3 + 0.05 * k, 2) for k in range(9))  # tried in validation
TRUSTED_LENGTH = 100  # px across corners, of pieces in a real frame that are learned from
THIN = 2.0  # weight of the thinnest vessels in the cross entropy, beside 1 of everything
WIDE = 6.0  # px of the answer: a vessel this wide has no further weight
SHARES = (1.0, 0.5)  # of vessel and catheter in the loss
DESIGNS = {  # compact networks of about one cost; the first is the usual one
    "segmentation": Architecture(),
    "stem2": Architecture((8, 16, 32, 64, 64), stem=2),
    "separable": Architecture((32, 64, 96, 128), blocks=2, separable=True),
}


class Sample(NamedTuple):
    """Some pictures and what is to be said of them, at the size of the answer."""

    picture: Tensor  # (B, 1, rows, columns) float16, on one footing
    truth: Tensor  # (B, 2, rows / 2, columns / 2) uint8, share of the pixel in 255ths
    weight: Tensor  # (B, 2, rows / 2, columns / 2) float16, 0 where nobody knows


class SegmentationTask:
    """Task of the trainer (`training.loop.Task`): vessels and catheters in single frames."""

    def __init__(
        self, architecture: Architecture | None = None, seed: int = 0, frames: Sequence[RealFrame] = ()
    ) -> None:
        """`frames` are real ones that simulated vessels are drawn in front of."""
        self.model = VesselNetwork(architecture)
        self.seed, self.frames = seed, frames

    def sample(self, k: int) -> Sample:
        """Draw training sample `k`."""
        return self._draw(case_rng("train", self.seed, k))

    def validation(self) -> list[Sample]:
        """Pictures of the validation split, the same for every seed."""
        return [self._draw(case_rng("validation", 0, k)) for k in range(VALIDATION_SAMPLES)]

    def loss(self, model: nn.Module, sample: Sample) -> tuple[Tensor, dict[str, float]]:
        """DICE + cross entropy of vessels and of catheters."""
        logits = model(sample.picture.float())
        truth, weight = sample.truth.float() / 255, sample.weight.float()
        total, said = torch.zeros(()), {}
        for k, (share, name) in enumerate(zip(SHARES, ("dice", "dice_catheter"), strict=True)):
            x, y, w = logits[:, k], truth[:, k], weight[:, k]
            dice = _soft_dice(torch.sigmoid(x), y, (w > 0).float())
            entropy = (functional.binary_cross_entropy_with_logits(x, y, reduction="none") * w).sum() / w.sum()
            total = total + share * (1 - dice + 2 * entropy)
            said[name] = dice.item()
        return total, {"loss": total.item(), **said}

    def validate(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """DICE of the vessels at the best threshold, mean over pictures that show some; DICE of the catheters."""
        vessel, catheter = [], []
        with torch.inference_mode():
            for sample in samples:
                chance = torch.sigmoid(model(sample.picture.float()))
                truth, known = sample.truth > 127, sample.weight > 0
                steps = torch.stack([_dice(chance[:, 0] > t, truth[:, 0], known[:, 0]) for t in THRESHOLDS], 1)
                vessel.append(steps[truth[:, 0].any(-1).any(-1)])
                catheter.append(_dice(chance[:, 1] > 0.5, truth[:, 1], known[:, 1])[truth[:, 1].any(-1).any(-1)])
        mean = torch.cat(vessel).mean(0)
        best = int(mean.argmax())
        return {
            "dice": float(mean[best]),
            "threshold": THRESHOLDS[best],
            "dice_catheter": float(torch.cat(catheter).mean()),
        }

    def metadata(self) -> dict[str, str]:
        """Kind and shape of the network, and what it is trained on."""
        data = "simulated coronary trees and catheters (autocar_ros.synthetic), drawn anew for every picture"
        if self.frames:
            data += f", most of them in front of {len(self.frames)} real frames without labels"
        return {"kind": KIND, "architecture": json.dumps(asdict(self.model.architecture)), "data": data}

    def _draw(self, rng: np.random.Generator) -> Sample:
        pictures, truths, weights = [], [], []
        for _ in range(TOGETHER):
            drawn = draw_angiogram(rng, SIZE, self.frames)
            truth = np.stack([_answer_size(mask) for mask in (drawn.vessel, drawn.catheter)])
            pictures.append(footing(drawn.image)[None])
            truths.append(truth)
            known = _answer_size(np.where(drawn.known, np.uint8(255), np.uint8(0))) > 127
            weights.append(np.stack([_weight(truth[0], known), np.where(known | (truth[1] > 127), 1.0, 0.0)]))
        return Sample(
            torch.from_numpy(np.stack(pictures)).half(),
            torch.from_numpy(np.stack(truths)),
            torch.from_numpy(np.stack(weights)).half(),
        )


def real_frames(folder: Path, weights: Path | None = None) -> list[RealFrame]:
    """Pictures of a folder, and what each shows already: by the network of `weights`, else roughly by the filter.

    What the network is sure of is learned from (self-training); marks of the filter only tell where nobody knows.

    Raises
    ------
    ConfigError
        When there are none.
    """
    method = "network" if weights else "vesselness"
    segmenter = segmenter_for(SegmentationConfig(method=method, weights=str(weights or "")))
    frames = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            image = read_image(path)
        except InvalidInputError:
            continue
        vessel, catheter = (_small_doubted(mark) for mark in segmenter.segment(image))
        frames.append(RealFrame(image, vessel, catheter, trusted=weights is not None))
    if not frames:
        raise ConfigError(f"{folder} holds no pictures: name a folder of PNG, JPEG or TIFF frames, or leave it out")
    return frames


def _small_doubted(mark: Mask) -> Mask:
    """Take away the trust in small pieces: trees and catheters are large."""
    _, label, stats, _ = cv2.connectedComponentsWithStats((mark >= DOUBTFUL).astype(np.uint8), connectivity=8)
    small = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) < TRUSTED_LENGTH
    small[0] = False  # everything else
    return np.where(small[label], np.minimum(mark, np.uint8(SURE - 1)), mark)


def _answer_size(mask: np.ndarray) -> np.ndarray:
    rows, columns = mask.shape
    return np.asarray(cv2.resize(mask, (columns // ANSWER, rows // ANSWER), interpolation=cv2.INTER_AREA))


def _weight(vessel: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Weight of each pixel: thin vessels are few pixels, and as much of a tree as wide ones."""
    inside = (vessel > 127).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    width = 2 * cv2.dilate(depth, np.ones((7, 7), np.uint8))
    thin = THIN * np.clip(1 - width / WIDE, 0, 1)
    return np.where(vessel > 0, 1 + thin, np.where(known, 1.0, 0.0))


def _soft_dice(chance: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    both = (chance * truth * known).sum()
    return (2 * both + 1) / ((chance.square() * known).sum() + (truth.square() * known).sum() + 1)


def _dice(said: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """DICE (B,) of masks (B, rows, columns)."""
    said, truth = said & known, truth & known
    both = (said & truth).sum((1, 2))
    return 2 * both / (said.sum((1, 2)) + truth.sum((1, 2))).clamp_min(1)
