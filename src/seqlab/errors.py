"""The one kind of error that a user can cause and mend."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """A value, file or combination that cannot work.

    The message says what is wrong, where, the rule, and the remedy. The command line prints it
    without a traceback and exits with status 2.
    """


class ArgumentError(InputError):
    """An argument of a constructor that cannot work.

    A layer does not know where its settings stand in the configuration. It names its argument, and
    whoever builds it from the configuration adds the section: `hidden_size=0 must be …` becomes
    `model.encoder.hidden_size=0 must be …`.

    Args:
        name: the argument.
        value: its value.
        rule: what it must be, and the remedy.
        section: where the argument stands in the configuration, as far as it is known.
    """

    def __init__(self, name: str, value: object, rule: str, section: str = "") -> None:
        self.name = name
        self.value = value
        self.rule = rule
        self.section = section
        super().__init__(f"{section}{name}={value!r} {rule}")

    def within(self, section: str, arguments: Iterable[str]) -> ArgumentError:
        """The same error with the section of the configuration.

        Args:
            section: where the constructor's settings stand.
            arguments: the names of its arguments. Another name is that of a part which the
                constructor made itself, and has no key of its own.
        """
        if self.section or "." in self.name:
            return self
        end = "." if self.name in arguments else ": "
        return ArgumentError(self.name, self.value, self.rule, section + end)


class SectionError(InputError):
    """Settings of one section of the configuration that cannot work; the message begins with it."""


def check_at_least(name: str, value: float, minimum: float = 1) -> None:
    """Raises ArgumentError unless `value` is `minimum` or more."""
    if value < minimum:
        raise ArgumentError(name, value, f"must be at least {minimum}")


def check_probability(name: str, value: float) -> None:
    """Raises ArgumentError unless `value` is a probability below 1."""
    if not 0 <= value < 1:
        raise ArgumentError(name, value, "must be at least 0 and below 1")


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or not a number, so that training cannot go on."""


class FailedJobsError(RuntimeError):
    """Some jobs of a sweep failed; the others are done."""


class StorageError(RuntimeError):
    """A search's storage is locked, gone or damaged."""
