"""Fields of API input that take a JSON type and nothing that merely looks like it.

DRF's own read ``"yes"`` as true and ``5`` as ``"5"``; an API that guesses hides its callers'
mistakes. Every complaint is ``accounts.errors``' envelope with ``details.field``.
"""

import json
import math
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.errors import ApiError, invalid_field
from accounts.phone_numbers import parse_e164

# Characters of JSON that one field may be: a list shows two hundred of them.
LARGEST_JSON = 64 * 1024


def is_too_large(data: Any) -> bool:
    """Return whether a JSON value takes more than ``LARGEST_JSON`` characters."""
    return len(json.dumps(data)) > LARGEST_JSON


def check_size(name: str, data: Any) -> None:
    """Raise ApiError ``invalid_request`` for a field's JSON value that is too large."""
    if is_too_large(data):
        raise invalid_field(name, f"is too large: at most {LARGEST_JSON} characters of JSON.")


class Text(serializers.CharField):
    """A string. ``too_long`` is the error code past ``max_length`` characters."""

    def __init__(self, *, too_long: str = "invalid_request", **kwargs: Any) -> None:
        self.too_long = too_long
        self.longest: int | None = kwargs.pop("max_length", None)
        kwargs.setdefault("allow_blank", True)
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # CharField takes "" before it asks to_internal_value.
        if data == "" and isinstance(data, str):
            if not self.allow_blank:
                raise invalid_field(self.field_name or "", "must not be empty.")
            return self.to_internal_value(data)
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        name = self.field_name or ""
        if not isinstance(data, str):
            raise invalid_field(name, "must be a string.")
        if self.longest is not None and len(data) > self.longest:
            raise ApiError(
                self.too_long,
                f"{name} is {len(data)} characters long; at most {self.longest} are allowed.",
                details={
                    "field": name,
                    "max_length": self.longest,
                    "length": len(data),
                },
            )
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise invalid_field(self.field_name or "", "must be true or false.")
        return data


class Whole(serializers.IntegerField):
    """A whole number within ``least``…``most``; ``300.0`` is one."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        name = self.field_name or ""
        if isinstance(data, bool) or not isinstance(data, (int, float)) or data != data // 1:
            raise invalid_field(name, "must be a whole number.")
        if not self.least <= data <= self.most:
            raise invalid_field(name, f"must be between {self.least} and {self.most}.")
        return int(data)


class Real(serializers.FloatField):
    """A number within ``least``…``most``: outside is refused, or brought inside with ``clamp``."""

    def __init__(self, least: float, most: float, *, clamp: bool = False, **kwargs: Any) -> None:
        self.least, self.most, self.clamp = least, most, clamp
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> float:
        name = self.field_name or ""
        if isinstance(data, bool) or not isinstance(data, (int, float)) or not math.isfinite(data):
            raise invalid_field(name, "must be a number.")
        if self.clamp:
            return float(min(max(data, self.least), self.most))
        if not self.least <= data <= self.most:
            raise invalid_field(name, f"must be between {self.least:.10g} and {self.most:.10g}.")
        return float(data)


class OneOf(serializers.ChoiceField):
    """One of a few strings. ``code`` is the error code of anything else."""

    def __init__(self, choices: Any, *, code: str = "invalid_request", **kwargs: Any) -> None:
        self.code = code
        super().__init__(choices=choices, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # ChoiceField takes "" before it asks to_internal_value.
        if data is not serializers.empty and data is not None:
            return self.to_internal_value(data)
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            known = ", ".join(str(choice) for choice in self.choices)
            raise invalid_field(self.field_name or "", f"must be one of: {known}.", self.code)
        return data


class E164(serializers.CharField):
    """A real telephone number in E.164, else ``invalid_phone_format``."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data == "" or (data is None and not self.allow_null):
            return parse_e164(None, self.field_name or "phone_number")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        return parse_e164(data, self.field_name or "phone_number")


class Items(serializers.ListField):
    """An array of objects, at most ``most``."""

    def __init__(self, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(child=serializers.DictField(), **kwargs)

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        name = self.field_name or ""
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise invalid_field(name, "must be an array of objects.")
        if len(data) > self.most:
            raise invalid_field(name, f"has {len(data)} items; at most {self.most} are allowed.")
        for index, item in enumerate(data):
            check_size(f"{name}.{index}", item)
        return data


class Object(serializers.DictField):
    """A JSON object, passed through as it is."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise invalid_field(self.field_name or "", "must be an object.")
        check_size(self.field_name or "", data)
        return data


@extend_schema_field(OpenApiTypes.ANY)
class Anything(serializers.Field[Any, Any, Any, Any]):
    """Whatever was sent, as it is; who uses it checks it."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value
