"""Every exception wdyn raises on purpose, on one screen.

Each says what is wrong, where, what was expected and what to do next. The
command line turns a `WdynError` into one sentence and exit status 1.
"""


class WdynError(Exception):
    """Base of all errors that wdyn explains."""


class MisuseError(WdynError, ValueError):
    """An argument that cannot work, found at the door."""


class NotFoundError(WdynError, LookupError):
    """A layer, step, parameter or analysis that the run does not have."""


class RunExistsError(WdynError, FileExistsError):
    """A run stands or is being recorded at this path; nothing was touched."""


class RunFileError(WdynError, OSError):
    """A file that is not a run, is of a newer format or cannot be read."""


class DamagedError(RunFileError):
    """Bytes that do not match their checksum; no value of them is returned."""


class ChangedMeanwhileError(RunFileError):
    """A run that was packed or thinned since it was opened; opening it again helps."""


class MissingExtraError(WdynError, ImportError):
    """An optional package that is not installed; the text names the extra."""


class OutputError(WdynError, OSError):
    """A page, figure or table that could not be written; nothing was left behind."""
