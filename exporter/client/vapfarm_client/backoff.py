"""Going on after a stream broke: pauses that grow, and an end to it."""

import random
import time
from collections.abc import Callable

from vapfarm_client.errors import FarmError

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 5.0
# A farm that is full says when to ask again; it is not left alone for longer than this.
_LONGEST_ASKED_SECONDS = 60.0


class Patience:
    """How long a farm that is away is waited for.

    The clock starts with the first failure after something arrived, not with the last message: a stream that is silent or busy
    for hours uses up nothing.
    """

    def __init__(
        self, limit_seconds: float, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit_seconds
        self._sleep = sleep
        self._clock = clock
        self.note_progress()

    def note_progress(self) -> None:
        """Forget failures: something arrived."""
        self._since: float | None = None
        self._pause = _FIRST_SECONDS

    def wait_or_raise(self, error: FarmError) -> None:
        """Pause before the next try; raise the error when it cannot pass by waiting, or when waiting took too long."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if not error.is_transient or now - self._since >= self._limit:
            raise error
        self._sleep(max(self._pause * (0.5 + random.random() / 2), min(error.retry_after, _LONGEST_ASKED_SECONDS)))
        self._pause = min(self._pause * 2, _LONGEST_SECONDS)
