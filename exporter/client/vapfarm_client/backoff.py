"""Going on after a stream broke: pauses that grow, and an end to it."""

import random
import time
from collections.abc import Callable

from vapfarm_client.errors import FarmError

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 5.0


class Patience:
    """Pauses between tries; progress starts them anew. Gives up when nothing moved for `limit_seconds`."""

    def __init__(self, limit_seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._limit = limit_seconds
        self._sleep = sleep
        self.note_progress()

    def note_progress(self) -> None:
        """Start anew: something arrived."""
        self._since = time.monotonic()
        self._pause = _FIRST_SECONDS

    def wait_or_raise(self, error: FarmError) -> None:
        """Pause before the next try; raise the error when it cannot pass by waiting, or when waiting took too long."""
        if not error.is_transient or time.monotonic() - self._since > self._limit:
            raise error
        self._sleep(self._pause * (0.5 + random.random() / 2))
        self._pause = min(self._pause * 2, _LONGEST_SECONDS)
