"""The two kinds of trouble: a person's mistake, and a failure inside a run."""


class UserError(Exception):
    """A mistake the person can mend: one sentence that says what is wrong and how to mend it.

    The command line prints it without a traceback and exits with 2.
    """


class WeightsUnavailable(UserError):  # noqa: N818 - a state of the machine, not a mistake
    """A model's weights are not on this machine, and nothing is downloaded unasked.

    command: what to run to get them.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(f"{what} are not on this machine; get them with: {command}")
        self.command = command


class ItemFailure(Exception):  # noqa: N818 - it is recorded, not an error of the program
    """One utterance could not be processed at one stage, for `str(self)` as the reason.

    The engine counts and lists it; it never becomes a score.
    """


class ContractError(ItemFailure):
    """A plugin returned something the contract forbids (floats, ids out of range, NaN audio...)."""
