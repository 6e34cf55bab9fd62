"""The errors that perdure raises on purpose. Every one is the user's to mend; anything else is a fault of ours."""


class PerdureError(Exception):
    """Something the user can mend. `str(error)` is the whole message: what is wrong, where, and the remedy."""


class ConfigError(PerdureError, ValueError):
    """A curriculum, an override or a command line that cannot be carried out as written."""


class DataError(PerdureError, ValueError):
    """Data that is missing, empty, unreachable or without a column that the curriculum names."""


class ModelError(PerdureError, ValueError):
    """A model that cannot be loaded or used as the curriculum asks."""


class RunError(PerdureError, RuntimeError):
    """A run folder that exists, is missing, is in use, or does not fit what is to be resumed."""


class GateError(PerdureError, RuntimeError):
    """A gate that the user asked for does not hold, such as `--strict`: exit code 4."""


class DiskFullError(PerdureError, OSError):
    """No room left on the device; the run folder stays resumable."""
