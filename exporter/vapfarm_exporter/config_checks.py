"""Reading a config file's values strictly, for any variant.

A key that would change the computation and that the modules do not implement is refused by name, never ignored: an
engine that silently computes another function is worse than none.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .errors import UnsupportedConfigError

Json = Mapping[str, object]
Allowed = Mapping[str, tuple[object, ...]]


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class ConfigFile:
    """A config's values under the file name that refusals state."""

    name: str
    values: Json

    def refused(self, problem: str) -> UnsupportedConfigError:
        """The error that says what is wrong with this file."""
        return UnsupportedConfigError(f"{self.name}: {problem}")

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Refuse keys that no module knows."""
        unknown = sorted(set(self.values) - set(known))
        if unknown:
            raise self.refused(f"unknown keys {', '.join(unknown)}")

    def refuse_other_values(self, allowed: Allowed, *, required: bool = False) -> None:
        """Refuse values other than the allowed ones; a key may be absent unless `required`."""
        for key, values in allowed.items():
            if key not in self.values and not required:
                continue
            value = self.values.get(key)
            if not any(value is v or (value == v and type(value) is type(v)) for v in values):
                raise self.refused(f"{key} = {value!r} is not supported (only {' or '.join(repr(v) for v in values)})")

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.values.get(key, default)
        if not isinstance(value, int | float) or not is_number(value):
            raise self.refused(f"{key} = {value!r} is not a number")
        return value

    def positive(self, key: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self.number(key, default)
        if value <= 0:
            raise self.refused(f"{key} = {value!r} is not a positive number")
        return value

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number from 1 on."""
        value = self.number(key, default)
        if not isinstance(value, int) or value < 1:
            raise self.refused(f"{key} = {value!r} is not a positive integer")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.refused(f"{key} = {value!r} is not true or false")
        return value

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        """A list of `length` finite numbers."""
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) != length or not all(is_number(v) for v in value):
            raise self.refused(f"{key} = {value!r} is not a list of {length} numbers")
        return tuple(value)

    def blocks(self, key: str, layers: int) -> frozenset[int]:
        """A list of distinct block numbers, at least one."""
        value = self.values.get(key)
        is_list = isinstance(value, list) and len(value) > 0
        if not is_list or any(type(i) is not int or not 0 <= i < layers for i in value) or len(set(value)) != len(value):
            raise self.refused(f"{key} = {value!r} is not a list of distinct blocks 0..{layers - 1}")
        return frozenset(value)
