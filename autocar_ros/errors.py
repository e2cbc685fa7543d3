"""What a caller of the core may catch. Every message names the cause and, where there is one, the remedy."""


class AutocarError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInputError(AutocarError, ValueError):
    """Data that cannot be used: wrong shape, size, encoding, NaN, empty mask."""


class PoseError(InvalidInputError):
    """A C-arm pose that is missing, not finite, too old or impossible."""


class ConfigError(AutocarError, ValueError):
    """A parameter outside its range, or two that contradict each other."""


class DicomError(AutocarError):
    """A DICOM file that is corrupt, of the wrong kind, or lacks a needed tag."""


class ReconstructionError(AutocarError):
    """No vessel graph can be made of this pair of views; says why."""


class PlanningError(AutocarError):
    """No path can be planned; `code` is an error code of the ComputeCatheterPath action."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BagError(AutocarError):
    """A bag that cannot be read or written."""


class WeightsError(AutocarError):
    """Weights of a network that are missing, damaged or of another network."""


class TrainingError(AutocarError):
    """Training that cannot start, continue or come to anything."""
