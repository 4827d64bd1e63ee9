"""The one kind of error that a user can cause and mend."""


class InputError(ValueError):
    """A value, file or combination that cannot work.

    The message says what is wrong, where, the rule, and the remedy. The command line prints it
    without a traceback and exits with status 2.
    """


def check_at_least(name: str, value: float, minimum: float = 1) -> None:
    """Raises InputError unless `value` is `minimum` or more."""
    if value < minimum:
        raise InputError(f"{name}={value} must be at least {minimum}")


def check_probability(name: str, value: float) -> None:
    """Raises InputError unless `value` is a probability below 1."""
    if not 0 <= value < 1:
        raise InputError(f"{name}={value} must be at least 0 and below 1")


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or not a number, so that training cannot go on."""


class FailedJobsError(RuntimeError):
    """Some jobs of a sweep failed; the others are done."""


class StorageError(RuntimeError):
    """A search's storage is locked, gone or damaged."""
