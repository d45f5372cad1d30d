"""Typed parameters: YAML mappings become frozen dataclasses; a key or value that does not fit is refused by name."""

import dataclasses
import math
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from finelake.lake.config.project import read_file
from finelake.lake.errors import UserError, did_you_mean

T = TypeVar("T")
LONGEST = 200  # characters of a value that a message shows
# What PyYAML raises: its own errors, and Python's for invalid numbers, dates, nesting and keys.
NOT_YAML = (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)


class _Loader(yaml.SafeLoader):
    """YAML's plain values; a repeated key of a mapping is an error, where PyYAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key)
            if name in seen:
                first, second = (one.start_mark.line + 1 for one in (seen[name], key))
                raise yaml.MarkedYAMLError(problem=f"{name} is given twice, in lines {first} and {second}")
            seen[name] = key
        return super().construct_mapping(node, deep)


def load(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. UserError when it cannot be read or is not a mapping."""
    try:
        content = yaml.load(read_file(path).decode("utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; create it with `finelake init`") from None
    except NOT_YAML as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({reason}); correct that line") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no sections; write `name: value` lines into it")
    return content


def parse(cls: type[T], mapping: Any, where: str) -> T:
    """Build the dataclass `cls` from `mapping`, the section called `where` in messages.

    UserError for an unknown key (with the nearest known one), a missing key, a value of another type, or a
    contradiction that the dataclass refuses with ValueError. A field with `given` in its metadata is set by the code
    and is not a key.
    """
    mapping = section(mapping, where)
    fields = {f.name: f for f in dataclasses.fields(cls) if "given" not in f.metadata}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise UserError(_unknown(f"{where}.{key}", str(key), list(fields), where))
    hints = typing.get_type_hints(cls)
    values = {key: _convert(value, hints[key], f"{where}.{key}") for key, value in mapping.items()}
    missing = [name for name, field in fields.items() if name not in values and _required(field)]
    if missing:
        raise UserError(f"params.yaml: {where}.{missing[0]} is missing; add it to the section {where}")
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"params.yaml: {where}: {error}") from None


def section(value: Any, where: str) -> dict[str, Any]:
    """The section called `where` as a mapping; an empty one has no keys. UserError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"params.yaml: {where} must be a mapping of names to values, not {_shown(value)}")
    return value


def unknown_key(mapping: Any, known: typing.Iterable[str], where: str) -> None:
    """Raise UserError for the first key of `mapping` that is not in `known`, and where it is not a mapping."""
    known = list(known)
    for key in section(mapping, where):
        if key not in known:
            raise UserError(_unknown(f"{where}.{key}" if where else str(key), str(key), known, where))


def _unknown(path: str, key: str, known: list[str], where: str) -> str:
    hint = did_you_mean(key, sorted(known), f"{where}." if where else "")
    return f"params.yaml: unknown key {_short(path)}; {hint}"


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        text = "a very large number"
    return f"{_short(text)} ({type(value).__name__})"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, where)
    if origin is Literal:
        return _convert_choice(value, arguments, where)
    if dataclasses.is_dataclass(hint):
        return parse(typing.cast(type, hint), value, where)
    if origin in (list, tuple):
        return _convert_sequence(value, origin, arguments, where)
    if origin is dict:
        return _convert_mapping(value, arguments[1], where)
    return _convert_scalar(value, hint, where)


def _convert_union(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    choices = [argument for argument in arguments if argument is not type(None)]
    for choice in choices[:-1]:
        try:
            return _convert(value, choice, where)
        except UserError:
            continue
    return _convert(value, choices[-1], where)


def _convert_choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    for choice in choices:
        # True equals 1, but is not a number.
        if value == choice and isinstance(value, bool) == isinstance(choice, bool):
            return choice
    raise UserError(f"params.yaml: {where}: {_short(repr(value))} is not allowed; {did_you_mean(value, choices)}")


def _convert_sequence(value: Any, origin: type, arguments: tuple[Any, ...], where: str) -> Any:
    if not isinstance(value, list):
        raise UserError(f"params.yaml: {where} must be a list, not {_shown(value)}; write [a, b]")
    return origin(_convert(item, arguments[0], f"{where}[{index}]") for index, item in enumerate(value))


def _convert_mapping(value: Any, hint: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"params.yaml: {where} must be a mapping of names to values, not {_shown(value)}")
    converted = {str(key): _convert(item, hint, f"{where}.{key}") for key, item in value.items()}
    if len(converted) < len(value):
        raise UserError(f"params.yaml: {where} has a name twice, as text and as a number; remove one of them")
    return converted


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float:
        return _number(value, where)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise UserError(f"params.yaml: {where} must be {_name(hint)}, not {_shown(value)}; correct the value")


def _number(value: Any, where: str) -> float:
    # YAML reads 5e-5 as text (it expects 5.0e-5); the user means the number.
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"params.yaml: {where} must be a number, not {_shown(value)}; correct the value")
    return number


def _name(hint: type) -> str:
    return {int: "a whole number", str: "text", bool: "true or false"}.get(hint, str(hint))
