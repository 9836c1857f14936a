"""Options that say how much of a task may happen."""

import unittest
from typing import Any

from taskora.contracts import Collect, Debounce, Deduplicate, RateLimit, Throttle, UsageError, check_flow_key

KEY_RULE = "1 to 512 printable characters"
WHOLE: dict[Any, dict[str, Any]] = {
    Debounce: {"key": "k", "delay": "2s"},
    Throttle: {"key": "k", "max": 2, "window": "1m"},
    Deduplicate: {"key": "k"},
    RateLimit: {"max": 2, "window": "1s"},
    Collect: {"key": "k", "delay": "2s"},
}
BAD_KEYS: list[Any] = ["", "x" * 513, "a\nb", "\x00", "\ud800", 7, b"k", []]
BAD_DURATIONS: list[Any] = [0, "0s", -1]
BAD_COUNTS: list[Any] = [0, -1, True, 1.0, "1", []]
CASES: list[tuple[Any, str, str, str, list[Any]]] = [
    (Debounce, "debounce", "key", KEY_RULE, [*BAD_KEYS, None]),
    (Debounce, "debounce", "delay", "a positive duration", BAD_DURATIONS),
    (Throttle, "throttle", "key", KEY_RULE, [*BAD_KEYS, None]),
    (Throttle, "throttle", "max", "an integer, 1 or more", [*BAD_COUNTS, None]),
    (Throttle, "throttle", "window", "a positive duration", BAD_DURATIONS),
    (Deduplicate, "deduplicate", "key", KEY_RULE, [*BAD_KEYS, None]),
    (Deduplicate, "deduplicate", "ttl", "a positive duration", BAD_DURATIONS),
    (
        Deduplicate,
        "deduplicate",
        "while_",
        "a tuple out of active, delayed, retrying, waiting",
        [(), ["waiting"], "waiting", ("completed",), ("waiting", "nope"), (["waiting"],), (1,), None],
    ),
    (Deduplicate, "deduplicate", "keep_latest", "True or False", ["yes", 1, None]),
    (RateLimit, "rate_limit", "max", "an integer, 1 or more", [*BAD_COUNTS, None]),
    (RateLimit, "rate_limit", "window", "a positive duration", BAD_DURATIONS),
    (RateLimit, "rate_limit", "key", KEY_RULE, BAD_KEYS),
    (Collect, "collect", "key", KEY_RULE, [*BAD_KEYS, None]),
    (Collect, "collect", "delay", "a positive duration", BAD_DURATIONS),
    (Collect, "collect", "max_wait", "a positive duration", BAD_DURATIONS),
    (Collect, "collect", "max_size", "an integer, 1 or more, or None", BAD_COUNTS),
    (Collect, "collect", "max_items", "an integer, max_size or more", [*BAD_COUNTS, None]),
]


class FlowControl(unittest.TestCase):
    def test_an_option_that_breaks_its_rule_is_refused_with_field_value_and_rule(self) -> None:
        for option, prefix, name, rule, values in CASES:
            for value in values:
                with (
                    self.subTest(option=option, name=name, value=value),
                    self.assertRaises(UsageError) as caught,
                ):
                    option(**{**WHOLE[option], name: value})
                self.assertEqual(caught.exception.field, f"{prefix}.{name}")
                self.assertEqual(caught.exception.rule, rule)
                self.assertTrue(str(caught.exception).startswith(f"{prefix}.{name} must be {rule}, got "))

    def test_durations_are_kept_in_milliseconds(self) -> None:
        self.assertEqual(Debounce(key="k", delay="2s").delay_ms, 2000)
        self.assertEqual(Throttle(key="k", max=1, window=0.5).window_ms, 500)
        self.assertEqual((Deduplicate(key="k").ttl_ms, Deduplicate(key="k", ttl="1m").ttl_ms), (None, 60_000))
        self.assertEqual(RateLimit(max=1, window="1h").window_ms, 3_600_000)
        collect = Collect(key="k", delay="1s", max_wait="5s")
        self.assertEqual((collect.delay_ms, collect.max_wait_ms), (1000, 5000))
        self.assertEqual(Collect(key="k", delay="1s").max_wait_ms, 0)

    def test_options_are_equal_when_they_do_the_same(self) -> None:
        cases: list[tuple[Any, str, Any, Any]] = [
            (Debounce, "delay", "2000ms", "3s"),
            (Throttle, "window", 60, "61s"),
            (RateLimit, "window", "1000ms", "2s"),
            (Collect, "delay", 2.0, "3s"),
        ]
        for option, field, same, other in cases:
            with self.subTest(option=option):
                self.assertEqual(option(**WHOLE[option]), option(**{**WHOLE[option], field: same}))
                self.assertEqual(hash(option(**WHOLE[option])), hash(option(**{**WHOLE[option], field: same})))
                self.assertNotEqual(option(**WHOLE[option]), option(**{**WHOLE[option], field: other}))

    def test_a_key_may_hold_anything_that_can_be_printed(self) -> None:
        for key in ("a", "x" * 512, "tenant:7", "a b", "{braces}", "*", "é🙂"):
            with self.subTest(key=key):
                self.assertEqual(check_flow_key(key), key)

    def test_a_key_that_is_none_is_named_as_the_caller_wants(self) -> None:
        with self.assertRaises(UsageError) as caught:
            check_flow_key("", field="concurrency_key")
        self.assertEqual(str(caught.exception), f"concurrency_key must be {KEY_RULE}, got ''")

    def test_a_key_may_be_made_from_the_input(self) -> None:
        self.assertIs(RateLimit(max=1, window="1s", key=str).key, str)
        self.assertTrue(callable(Collect(key=str, delay="1s").key))

    def test_every_unfinished_state_may_count_as_a_duplicate(self) -> None:
        states = ("waiting", "delayed", "active", "retrying")
        self.assertEqual(Deduplicate(key="k", while_=states).while_, states)
        self.assertEqual(Deduplicate(key="k").while_, ("waiting", "delayed", "active"))

    def test_keeping_the_latest_says_itself_what_counts(self) -> None:
        self.assertTrue(Deduplicate(key="k", keep_latest=True).keep_latest)
        for more in ({"ttl": "1s"}, {"while_": ("waiting",)}):
            options: Any = {"key": "k", "keep_latest": True, **more}
            with self.subTest(more=more), self.assertRaisesRegex(UsageError, "keep_latest goes with neither"):
                Deduplicate(**options)

    def test_a_window_of_time_names_no_states(self) -> None:
        with self.assertRaisesRegex(UsageError, r"deduplicate\.ttl and deduplicate\.while_ exclude each other"):
            Deduplicate(key="k", ttl="1s", while_=("waiting",))

    def test_a_batch_holds_at_least_what_makes_it_run(self) -> None:
        self.assertEqual(Collect(key="k", delay="1s", max_size=5, max_items=5).max_items, 5)
        with self.assertRaisesRegex(UsageError, r"collect\.max_items must be an integer, max_size or more, got 4"):
            Collect(key="k", delay="1s", max_size=5, max_items=4)

    def test_an_option_cannot_be_changed(self) -> None:
        for option, arguments in WHOLE.items():
            with self.subTest(option=option), self.assertRaises(AttributeError):
                option(**arguments).key = "other"


if __name__ == "__main__":
    unittest.main()
