"""JSON: every field of every kind of node with every kind of wrong value, and memory bounds."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import normgraph as ng
from normgraph.formats import FormatError
from normgraph.formats.json import dumps, loads
from normgraph.formats.strict_json import check_depth, parse
from tests.op.signatures import INPUTS

Path = tuple[Any, ...]

#: JSON texts, since some are no values of Python: NaN, a repeated key, half of a character.
WRONG = [
    *("null", "true", "false", "0", "1", "-1", "1.5", "-0", "1e999", "NaN", "-Infinity", "9" * 30),
    *('""', '"x"', '"\\ud800"', '"output"', '"dynamic"', '"Infinity"', '"AAAA"'),
    *(
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "[{}]",
        "[0]",
        '[0, "output"]',
        '[0, "\\ud800"]',
        "[1, [2, 3]]",
    ),
    *('{"a": 1}', '{"a": 1, "a": 2}', '{"\\ud800": 1}', '{"\\ud800": 1, "\\ud800": 2}', '{"": []}'),
]

PLACE = r"^[a-z]+(\[|\.|:)|^expected (an object|the key|each key once)|^unknown key"


def document(op: str) -> dict[str, Any]:
    """A valid document, as json.loads gives it, of a function with a node of this op."""
    if op == "Constant":
        function = ng.Function([ng.Constant([1.0, 2.0], "f32", name="c")], [], name="f")
    else:
        parameters = [ng.Parameter("dynamic", None, name=name) for name in INPUTS.get(op, ("x",))]
        arguments: dict[str, Any] = {"Convert": {"element_type": "f32"}}.get(op, {})
        node = getattr(ng.op, op)(*parameters, **arguments) if op != "Parameter" else parameters[0]
        function = ng.Function(node.outputs[:1], parameters, name="f")
    found: dict[str, Any] = json.loads(dumps(function))
    return found


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where every value stands that is in this one, itself included."""
    yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, key))


def paths_of(op: str, valid: dict[str, Any]) -> Iterator[Path]:
    """The paths in the node of this op, which is the last one; with Relu, all of the document."""
    last = ("nodes", len(valid["nodes"]) - 1)
    return (path for path in paths(valid) if path[:2] == last or op == "Relu")


def replaced(value: Any, path: Path, text: Callable[[Any], str]) -> str:
    """The document as text, in which another text stands in a place."""
    if not path:
        return text(value)
    if isinstance(value, list):
        items = (
            replaced(item, path[1:], text) if index == path[0] else json.dumps(item)
            for index, item in enumerate(value)
        )
        return f"[{', '.join(items)}]"
    texts = {key: json.dumps(item) for key, item in value.items()}
    texts[path[0]] = replaced(value[path[0]], path[1:], text)
    return f"{{{', '.join(f'{json.dumps(key)}: {item}' for key, item in texts.items())}}}"


def with_a_key_twice(value: Any) -> str:
    first = next(iter(value))
    return f"{{{json.dumps(first)}: 1, {json.dumps(value)[1:]}"


def loads_or_names_the_place(text: str) -> str | None:
    """The message of the only errors that loads documents; it names the place."""
    try:
        loads(text)
    except (FormatError, ng.NodeValidationFailure) as error:
        message = str(error)
    else:
        return None
    assert re.match(PLACE, message), (text, message)
    return message


@pytest.mark.parametrize("op", ["Parameter", "Constant", *sorted(INPUTS)])
def test_every_field_with_every_wrong_value(op: str) -> None:
    valid = document(op)
    for path in paths_of(op, valid):
        for wrong in WRONG:
            loads_or_names_the_place(replaced(valid, path, lambda _, wrong=wrong: wrong))  # type: ignore[misc]


@pytest.mark.parametrize("op", ["Parameter", "Constant", *sorted(INPUTS)])
def test_every_object_with_a_key_twice_or_one_more(op: str) -> None:
    valid = document(op)
    for path in paths_of(op, valid):
        value: Any = valid
        for key in path:
            value = value[key]
        if isinstance(value, dict):
            if value:
                message = loads_or_names_the_place(replaced(valid, path, with_a_key_twice))
                assert message is not None
                assert "expected each key once" in message
            more = {**value, "more": 1}
            message = loads_or_names_the_place(
                replaced(valid, path, lambda _, more=more: json.dumps(more))  # type: ignore[misc]
            )
            assert message is not None
            assert 'unknown key "more"' in message


@pytest.mark.parametrize("field", ["inputs", "attributes"])
@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        *((text, text) for text in ("1", "null", "true", "NaN", '""', '"x"')),
        ("[]", "an array"),
    ],
)
def test_what_has_no_keys_is_an_object_all_the_same(field: str, wrong: str, found: str) -> None:
    """A Parameter has no inputs, a Relu no attributes; {} says so, and nothing else does."""
    op = "Parameter" if field == "inputs" else "Relu"
    valid = document(op)
    (index,) = (node["id"] for node in valid["nodes"] if node["op"] == op)
    text = replaced(valid, ("nodes", index, field), lambda _: wrong)
    message = f"nodes[{index}].{field}: expected an object, got {found}"
    assert loads_or_names_the_place(text) == message


@pytest.mark.parametrize("op", ["Parameter", "Constant", "Relu"])
@pytest.mark.parametrize("name", ["\ud800", "x\udfffy", "\udc80\ud800"])
def test_half_a_character_in_a_name_is_named_with_its_place(op: str, name: str) -> None:
    valid = document(op)
    index = len(valid["nodes"]) - 1
    text = replaced(valid, ("nodes", index, "name"), lambda _: json.dumps(name))
    message = f"nodes[{index}].name: expected a string of whole characters, got "
    assert loads_or_names_the_place(text) == message + json.dumps(name)
    # Two halves that belong together are a whole one.
    text = replaced(valid, ("nodes", index, "name"), lambda _: r'"\ud835\udeff"')
    assert loads(text).nodes[index].friendly_name == "\U0001d6ff"


# ---- memory --------------------------------------------------------------------------------------

MEGABYTE = 2**20


def peak_of(call: Callable[[], object]) -> int:
    """The most bytes that the call holds at once, beyond those that are there before.

    Of three calls the least: what other threads allocate, as a test runner's do, is counted too.
    """
    peaks = []
    for _ in range(3):
        tracemalloc.start()
        try:
            call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


@pytest.mark.parametrize(
    "text",
    [
        '"' + "\\" * MEGABYTE,
        '"' + "\\" * MEGABYTE + '"',
        '"' + '\\"' * (MEGABYTE // 2),
        '"' + "a\\n" * (MEGABYTE // 3) + '"',
        "\\" * MEGABYTE,
        '"' * (MEGABYTE // 8),
        '"[" ' * (MEGABYTE // 32),
        "[]" * (MEGABYTE // 16),
        "a" * MEGABYTE,
    ],
    ids=lambda text: text[:4],
)
def test_nesting_is_checked_in_constant_memory(text: str) -> None:
    # A match of the scan holds at most 256 escapes, at some dozens of bytes each.
    assert peak_of(lambda: check_depth(text)) < 64 * 2**10


@pytest.mark.parametrize("text", ['"' + "\\" * MEGABYTE + '"', '"' + '\\"' * (MEGABYTE // 2) + '"'])
def test_a_string_takes_memory_in_proportion_to_its_length(text: str) -> None:
    # Python's reader joins parts, for which it holds the string at most four times.
    assert peak_of(lambda: parse(text)) < 4 * len(text)


@pytest.mark.parametrize(
    ("text", "is_deep"),
    [
        ("[" * 32 + "]" * 32, False),
        ("[" * 33 + "]" * 33, True),
        ("[]" * 100, False),
        ('"' + "[" * 100 + '"', False),
        (r'"\"' + "[" * 100 + '"', False),
        (r'"\\"' + "[" * 100, True),
        (r'"\\\"' + "[" * 100, False),
        ('"' + "\\\\" * 1000 + '"' + "[" * 33, True),
        ('"' + "\\\\" * 1000 + '\\"' + "[" * 33, False),
        ('"' + "\\" * 3, False),
        ("\\" + '"' + "{" * 33, False),
        ('"\n\\\n"' + '{"a":' * 33, True),
    ],
)
def test_brackets_within_strings_do_not_count(text: str, is_deep: bool) -> None:
    if is_deep:
        line = text.count("\n") + 1
        with pytest.raises(FormatError, match=rf"^line {line}: expected at most 32 levels"):
            check_depth(text)
    else:
        check_depth(text)
