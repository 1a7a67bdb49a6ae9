"""The assignment of a Fielding Assistant as a value: what is read, changed, and sent back."""

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from fielding_async import (
    AdaptivePacing,
    ConfigurationError,
    DynamicPricing,
    FieldingAssistant,
    GeminiPacing,
    LinearPacing,
    Money,
    OtherModule,
    ProtocolError,
    QuotaOverlay,
    RateCardPricing,
    SoftLaunch,
)
from fielding_async.core.assistant.assignment import assistant_body, decode_assistant, is_same_assignment
from fielding_async.core.assistant.exact_json import dump, load, members

from .test_exact_json import values

DAY = timedelta(days=1)
FIVE = Money(value="5.00", currency_code="USD", currency_scale=2)
FULL = FieldingAssistant(
    pricing=DynamicPricing(maximum_cpi=FIVE),
    pacing=LinearPacing(increment_interval=DAY),
    quota_overlay=QuotaOverlay(prevent_overfill=True, balance_fill=False),
    soft_launch=SoftLaunch(
        end_at=datetime(2031, 5, 17, 12, 30, 15, 123456, UTC),
        filling_goal_percentage=10,
        demographics_strictness_percentage=0,
    ),
)
BODY = {
    "pricing": {"type": "dynamic", "maximum_cpi": {"value": "5.00", "currency_code": "USD", "currency_scale": 2}},
    "quota_overlay": {"prevent_overfill": True, "balance_fill": False},
    "pacing": {"type": "linear", "increment_interval": "P1D"},
    "soft_launch": {
        "end_at": "2031-05-17T12:30:15.123Z",
        "filling_goal_percentage": 10,
        "demographics_strictness_percentage": 0,
    },
}

LAUNCH: Any = FULL.soft_launch
UNTYPED: dict[str, Any] = {kind.__name__: kind for kind in (QuotaOverlay, DynamicPricing, FieldingAssistant)}

enabled = values.filter(lambda value: value is not None)
assignments = st.dictionaries(st.text(min_size=1), enabled, max_size=5).map(
    lambda content: {name: part for name, part in content.items() if name != "pacing"}
)


def read(text: str | bytes) -> FieldingAssistant:
    """Return an assignment as it is read from a body."""
    return decode_assistant(text.encode() if isinstance(text, str) else text, '"7"')


def test_each_known_module_is_written_as_the_document_has_it() -> None:
    """A value made by hand becomes the documented JSON, and is read back as itself."""
    assert json.loads(assistant_body(FULL)) == BODY
    assert is_same_assignment(read(assistant_body(FULL)), FULL)
    assert assistant_body(FieldingAssistant()) == b"{}"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (RateCardPricing(boost_cpi=FIVE), '{"type":"rate_card","boost_cpi":'),
        (DynamicPricing(total_budget=FIVE, minimum_cpi=FIVE), '{"type":"dynamic","total_budget":'),
        (AdaptivePacing(increment_interval=timedelta(days=1, hours=5)), '"P1DT5H"'),
        (LinearPacing(increment_interval=timedelta(hours=12, minutes=30, seconds=5)), '"PT12H30M5S"'),
        (GeminiPacing(exposed_target_group_id="0" * 26), '"type":"gemini"'),
    ],
)
def test_each_form_of_a_module_is_written_with_its_type(module: Any, text: str) -> None:
    """A form says its type, and is read back as itself."""
    name = "pricing" if "Pricing" in type(module).__name__ else "pacing"
    body = assistant_body(evolve(FieldingAssistant(), **{name: module}))
    assert text in body.decode()
    assert getattr(read(body), name) == module


@settings(max_examples=40)
@given(assignments)
def test_changing_one_module_leaves_the_rest_to_the_last_digit(content: dict[str, Any]) -> None:
    """A read-modify-write of one module sends every other one back as the very text that was read."""
    texts = {name: dump(part) for name, part in content.items()}
    body = "{" + ",".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"
    changed = evolve(read(body), pacing=LinearPacing(increment_interval=DAY))
    sent = members(assistant_body(changed).decode())
    assert sent.pop("pacing") == '{"type":"linear","increment_interval":"P1D"}'
    assert sent == texts
    assert list(sent) == list(texts)
    assert is_same_assignment(read(assistant_body(changed)), changed)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), values, max_size=4), st.dictionaries(st.text(), values, max_size=4))
def test_changing_one_field_leaves_the_rest_of_its_module(module: dict[str, Any], money: dict[str, Any]) -> None:
    """Members that are not known survive in a module of which one field is changed, and in an amount of money."""
    amount = {**money, "value": "5.00", "currency_code": "USD", "currency_scale": None}
    pricing = {**module, "type": "dynamic", "minimum_cpi": amount, "maximum_cpi": amount, "total_budget": None}
    now = read(dump({"pricing": pricing}))
    assert isinstance(now.pricing, DynamicPricing)
    less = Money(value="4.50", currency_code="USD", currency_scale=2)
    changed = evolve(now, pricing=evolve(now.pricing, maximum_cpi=less))
    wanted = {**amount, "value": "4.50", "currency_scale": 2}
    sent = load(assistant_body(changed).decode())["pricing"]
    assert dump(sent) == dump(load(dump({**pricing, "maximum_cpi": wanted})))
    assert assistant_body(now).decode() == dump({"pricing": pricing})


def test_disabled_modules_are_left_out() -> None:
    """A module that is null, known or not, is not enabled, and is not sent."""
    now = read(
        '{"pricing":null,"soft_launch":null,"quality":null,"pacing":{"type":"linear","increment_interval":"P1D"}}'
    )
    assert now.soft_launch is None
    assert now.others == ()
    assert assistant_body(now) == b'{"pacing":{"type":"linear","increment_interval":"P1D"}}'
    assert evolve(now, pacing=None).is_empty


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pricing", '{"type":"auction","floor":1.10}'),
        ("pricing", '{"type":"dynamic","maximum_cpi":5}'),
        ("pacing", '{"type":"linear","increment_interval":"P1M"}'),
        ("pacing", '{"increment_interval":"P1D"}'),
        ("quota_overlay", '{"prevent_overfill":1,"balance_fill":true}'),
        ("soft_launch", "[1e400]"),
        ("soft_launch", '{"end_at":"soon","filling_goal_percentage":1,"demographics_strictness_percentage":1}'),
        ("quality", '"a text"'),
    ],
)
def test_what_does_not_fit_is_kept_as_json(name: str, text: str) -> None:
    """A form, a field or a module that this version cannot read is an `OtherModule`, never a disabled one."""
    now = read(f'{{"{name}":{text}}}')
    found = now.others[0] if name == "quality" else getattr(now, name)
    assert found == OtherModule(name, text)
    assert found.json() == now.module(name) == load(text)
    assert assistant_body(now).decode() == f'{{"{name}":{text}}}'
    assert not now.is_empty


def test_unknown_modules_are_read_and_replaced() -> None:
    """A caller gets an unknown module as JSON, and can put another in its place."""
    now = read('{"quality":{"level":1.10}}')
    content = now.module("quality")
    content["strict"] = True
    changed = evolve(now, others=(OtherModule.of("quality", content),))
    assert assistant_body(changed) == b'{"quality":{"level":1.10,"strict":true}}'
    assert now.module("quality") != content
    assert now.module("absent") is None


def test_equality_is_of_what_is_meant() -> None:
    """The order of members, the spelling of numbers, dates and durations and the scale of money do not count."""
    one = read(
        '{"pacing":{"type":"linear","increment_interval":"PT24H"},"a":{"x":1.10,"y":2},'
        '"pricing":{"type":"dynamic","maximum_cpi":{"value":"5.00","currency_code":"USD"}}}'
    )
    other = read(
        '{"a":{"y":2.0,"x":1.1},"pricing":{"maximum_cpi":{"value":"5.00","currency_code":"USD","currency_scale":2},'
        '"type":"dynamic"},"pacing":{"type":"linear","increment_interval":"P1D"}}'
    )
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    assert one.pacing == LinearPacing(increment_interval=DAY)
    for text in (
        '{"pacing":{"type":"linear","increment_interval":"PT24H","new":1}}',
        '{"pacing":{"type":"adaptive","increment_interval":"PT24H"}}',
        '{"pricing":{"type":"dynamic","maximum_cpi":{"value":"5.00","currency_code":"USD","tax":1}}}',
        '{"pricing":{"type":"dynamic","maximum_cpi":{"value":"5.0","currency_code":"USD"}}}',
    ):
        (name,) = members(text)
        assert getattr(read(text), name) != getattr(one, name)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: LinearPacing(increment_interval=timedelta(days=398)), "below 398 days"),
        (lambda: LinearPacing(increment_interval=timedelta(milliseconds=1)), "whole seconds"),
        (lambda: GeminiPacing(exposed_target_group_id="group"), "26 characters"),
        (lambda: UNTYPED["QuotaOverlay"](prevent_overfill=1, balance_fill=True), "True or False"),
        (lambda: evolve(LAUNCH, filling_goal_percentage=0), "from 1 to 100"),
        (lambda: evolve(LAUNCH, demographics_strictness_percentage=True), "from 0 to 100"),
        (lambda: evolve(LAUNCH, end_at=datetime(2031, 1, 1)), "aware"),
        (lambda: UNTYPED["DynamicPricing"](maximum_cpi=5), "must be a Money"),
        (lambda: DynamicPricing(maximum_cpi=Money(value="5,00", currency_code="USD")), "decimal number"),
        (lambda: DynamicPricing(maximum_cpi=Money(value="5.00")), "three letters"),
        (lambda: UNTYPED["FieldingAssistant"](pacing=FULL.pricing), "LinearPacing"),
        (
            lambda: FieldingAssistant(pacing=OtherModule("pricing", "{}")),
            "must hold an OtherModule of the same name, not 'pricing'",
        ),
        (lambda: FieldingAssistant(others=(OtherModule("pacing", "{}"),)), "must not hold pacing"),
        (
            lambda: FieldingAssistant(others=(OtherModule("a", "1"), OtherModule("a", "2"))),
            "must name each module once",
        ),
        (lambda: UNTYPED["FieldingAssistant"](others=[OtherModule("a", "1")]), "tuple of OtherModule"),
        (lambda: OtherModule("a", "null"), "leave the module out"),
        (lambda: OtherModule("a", '"\ud800"'), "must be JSON"),
        (lambda: OtherModule("a", "{"), "must be JSON"),
        (lambda: OtherModule.of("a", {"b": {1}}), r"OtherModule a\.b"),
    ],
)
def test_a_bad_value_is_refused_when_it_is_made(make: Any, named: str) -> None:
    """What the document does not allow is a `ConfigurationError` that names the rule, before anything is sent."""
    with pytest.raises(ConfigurationError, match=named):
        make()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"a":1,"a":2}', b"\xff{}", b"{" * 100_000, b'{"a":NaN}'])
def test_a_body_that_is_no_assignment_is_a_protocol_error(body: bytes) -> None:
    """A reply that cannot be read raises `ProtocolError`."""
    with pytest.raises(ProtocolError, match="Fielding Assistant"):
        decode_assistant(body, None)
