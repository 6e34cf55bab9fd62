"""The errors that perdure raises on purpose: all are the user's to fix. Any other exception is a bug."""


class PerdureError(Exception):
    """An error that the user can fix. `str(error)` is the whole message: what is wrong, where, and the remedy."""


class ConfigError(PerdureError, ValueError):
    """A curriculum, override or command line that cannot be carried out."""


class DataError(PerdureError, ValueError):
    """Data that is missing, empty, unreachable or lacks a column that the curriculum names."""


class ModelError(PerdureError, ValueError):
    """A model that cannot be loaded or used as the curriculum asks."""


class RunError(PerdureError, RuntimeError):
    """A run folder that exists, is missing, is in use, or does not match what is to be resumed."""


class GateError(PerdureError, RuntimeError):
    """A gate that the user asked for, such as `--strict`, fails: exit code 4."""


class DiskFullError(PerdureError, OSError):
    """No room left on the device; the run folder stays resumable."""
