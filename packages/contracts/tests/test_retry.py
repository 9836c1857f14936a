"""When a failed attempt is run again, and how much later."""

import unittest
from collections.abc import Callable
from typing import Any

from taskora.contracts import (
    Backoff,
    ContractError,
    ErrorPattern,
    ExpiredError,
    Issue,
    JobCancelledError,
    JobTimeoutError,
    Retry,
    RetryError,
    UsageError,
    ValidationError,
)

LONGEST_MS = 36_525 * 86_400_000


class CardDeclined(Exception):
    pass


class CardExpired(CardDeclined):
    class Soon(Exception):
        pass


NOT_RETRIED_UNASKED: list[Exception] = [
    ValidationError(issues=(Issue(path=(), message="no", rule="r"),)),
    JobTimeoutError(job_id="j", timeout_ms=1),
    JobCancelledError(job_id="j"),
    ExpiredError(job_id="j"),
]


def constant(number: float) -> Callable[[], float]:
    return lambda: number


def delays(retry: Retry, *attempts: int, number: float = 0.5) -> list[int]:
    return [retry.backoff_ms(attempt, uniform=constant(number)) for attempt in attempts]


class Growth(unittest.TestCase):
    def test_each_strategy_grows_in_its_way(self) -> None:
        cases: list[tuple[Backoff, list[int]]] = [
            ("exponential", [1000, 2000, 4000, 8000]),
            ("linear", [1000, 2000, 3000, 4000]),
            ("fixed", [1000, 1000, 1000, 1000]),
            (lambda attempt: f"{attempt}m", [60_000, 120_000, 180_000, 240_000]),
            (lambda attempt: (attempt - 1) / 2, [0, 500, 1000, 1500]),
        ]
        for backoff, expected in cases:
            with self.subTest(backoff=backoff):
                self.assertEqual(delays(Retry(backoff=backoff, jitter=False), 1, 2, 3, 4), expected)

    def test_exponential_from_one_second_with_jitter_is_the_default(self) -> None:
        self.assertEqual(Retry(), Retry(attempts=3, backoff="exponential", delay="1s", max_delay=None, jitter=True))

    def test_the_delay_is_where_it_starts(self) -> None:
        self.assertEqual(delays(Retry(delay="250ms", jitter=False), 1, 2, 3), [250, 500, 1000])
        self.assertEqual(delays(Retry(delay=0, jitter=False), 1, 2), [0, 0])

    def test_no_delay_exceeds_the_maximum(self) -> None:
        retry = Retry(max_delay="3s", jitter=False)
        self.assertEqual(delays(retry, 1, 2, 3, 4), [1000, 2000, 3000, 3000])
        self.assertEqual(delays(Retry(backoff=lambda _: "1h", max_delay="3s", jitter=False), 1), [3000])

    def test_an_attempt_that_was_never_counted_is_the_first(self) -> None:
        self.assertEqual(delays(Retry(jitter=False), 0), [1000])

    def test_no_number_of_attempts_overflows(self) -> None:
        for backoff in ("exponential", "linear"):
            with self.subTest(backoff=backoff):
                retry = Retry(backoff=backoff, jitter=False)
                self.assertEqual(delays(retry, 10**12), [LONGEST_MS])
                self.assertEqual(delays(Retry(backoff=backoff, max_delay="5m", jitter=False), 10**12), [300_000])
        self.assertEqual(delays(Retry(delay="1ms", jitter=False), 40, 10_000), [2**39, LONGEST_MS])

    def test_a_function_that_gives_no_duration_is_named(self) -> None:
        with self.assertRaisesRegex(UsageError, r"^backoff\(2\) must be a duration: .*, got 'later'$"):
            delays(Retry(backoff=lambda _: "later"), 2)
        with self.assertRaisesRegex(UsageError, r"^backoff\(1\) must be zero or a positive duration, got -1$"):
            delays(Retry(backoff=lambda _: -1), 1)


class Jitter(unittest.TestCase):
    def test_a_delay_spreads_by_a_quarter_to_either_side(self) -> None:
        for number, expected in [(0.0, 750), (0.5, 1000), (0.999999, 1250), (0.9, 1200)]:
            with self.subTest(number=number):
                self.assertEqual(delays(Retry(), 1, number=number), [expected])

    def test_a_delay_at_the_maximum_still_spreads_but_never_above_it(self) -> None:
        retry = Retry(max_delay="4s")
        for number, expected in [(0.0, 3000), (0.25, 3500), (0.5, 4000), (0.999999, 4000)]:
            with self.subTest(number=number):
                self.assertEqual(delays(retry, 10, number=number), [expected])

    def test_without_jitter_no_random_number_is_drawn(self) -> None:
        def uniform() -> float:
            raise AssertionError("drawn")

        self.assertEqual(Retry(jitter=False).backoff_ms(1, uniform=uniform), 1000)


class Decision(unittest.TestCase):
    def test_a_job_runs_as_often_as_attempts_says_and_no_more(self) -> None:
        for attempts in (1, 2, 3):
            with self.subTest(attempts=attempts):
                retry = Retry(attempts=attempts)
                decisions = [retry.should_retry(KeyError(), attempt) for attempt in range(1, 6)]
                self.assertEqual(decisions.count(True), attempts - 1)
                self.assertEqual(decisions, sorted(decisions, reverse=True))

    def test_the_lists_decide_which_errors_are_retried(self) -> None:
        declined: tuple[ErrorPattern, ...] = (CardDeclined,)
        cases: list[tuple[Retry, BaseException, bool]] = [
            (Retry(no_retry_on=declined), CardDeclined(), False),
            (Retry(no_retry_on=declined), CardExpired(), False),
            (Retry(no_retry_on=declined), KeyError(), True),
            (Retry(retry_on=declined), CardDeclined(), True),
            (Retry(retry_on=declined), CardExpired(), True),
            (Retry(retry_on=declined), KeyError(), False),
            (Retry(retry_on=(Exception,), no_retry_on=declined), CardExpired(), False),
            (Retry(retry_on=declined, no_retry_on=(CardExpired,)), CardDeclined(), True),
            (Retry(retry_on=declined, no_retry_on=(CardExpired,)), CardExpired(), False),
            (Retry(retry_on=(KeyError, CardExpired)), CardExpired(), True),
        ]
        for retry, error, expected in cases:
            with self.subTest(retry=retry, error=error):
                self.assertIs(retry.should_retry(error, 1), expected)

    def test_errors_can_be_named_instead_of_imported(self) -> None:
        module = CardExpired.__module__
        cases: list[tuple[str, BaseException, bool]] = [
            ("CardDeclined", CardDeclined(), True),
            ("CardDeclined", CardExpired(), True),
            ("CardExpired", CardDeclined(), False),
            (f"{module}.CardExpired", CardExpired(), True),
            (f"{module}.CardDeclined", CardExpired(), True),
            (f"{module}.CardExpired.Soon", CardExpired.Soon(), True),
            ("Soon", CardExpired.Soon(), True),
            ("elsewhere.CardExpired", CardExpired(), False),
            ("Card", CardDeclined(), False),
            ("builtins.KeyError", KeyError(), True),
            ("LookupError", KeyError(), True),
        ]
        for name, error, expected in cases:
            with self.subTest(name=name, error=error):
                self.assertIs(Retry(retry_on=(name,)).should_retry(error, 1), expected)
                self.assertIs(Retry(no_retry_on=(name,)).should_retry(error, 1), not expected)

    def test_some_errors_are_retried_only_when_asked_for(self) -> None:
        for error in NOT_RETRIED_UNASKED:
            kind = type(error)
            with self.subTest(kind.__name__):
                self.assertFalse(Retry().should_retry(error, 1))
                self.assertFalse(Retry(retry_on=(KeyError,)).should_retry(error, 1))
                self.assertTrue(Retry(retry_on=(kind,)).should_retry(error, 1))
                self.assertTrue(Retry(retry_on=(kind.__name__,)).should_retry(error, 1))
                self.assertFalse(Retry(retry_on=(kind,), no_retry_on=(kind,)).should_retry(error, 1))

    def test_an_explicit_request_is_granted_whatever_the_lists_say_while_attempts_remain(self) -> None:
        request = RetryError(delay="5s")
        for retry in (Retry(), Retry(retry_on=(KeyError,)), Retry(no_retry_on=(RetryError, Exception))):
            with self.subTest(retry=retry):
                self.assertEqual([retry.should_retry(request, attempt) for attempt in (1, 2, 3)], [True, True, False])


class Options(unittest.TestCase):
    def test_an_option_that_breaks_its_rule_is_refused_with_field_value_and_rule(self) -> None:
        forms = 'a duration: a timedelta, a number of seconds, or a string such as "250ms", "30s", "1.5h" or "1h30m"'
        patterns = "a tuple of exception classes or their names"
        not_patterns: list[Any] = [
            "KeyError", KeyError, None, [KeyError], (int,), (KeyError(),), ("not a name",), ("",), ("a.",),
            (None,),
        ]  # fmt: skip
        cases: list[tuple[str, str, list[Any]]] = [
            ("attempts", "an integer, 1 or more", [0, -1, True, 1.5, "3", None]),
            ("backoff", "one of fixed, exponential, linear, or a function", ["none", "", None, 3, []]),
            ("jitter", "True or False", [0, 1, None, "yes", 0.25]),
            ("delay", forms, ["soon", None, True]),
            ("delay", "zero or a positive duration", [-1, -0.5]),
            ("max_delay", forms, ["101y"]),
            ("max_delay", "a positive duration", [0, "0s", -1]),
            ("retry_on", patterns, not_patterns),
            ("no_retry_on", patterns, not_patterns),
        ]
        for field, rule, values in cases:
            for value in values:
                with self.subTest(field=field, value=value), self.assertRaises(ContractError) as caught:
                    Retry(**{field: value})
                self.assertEqual(str(caught.exception), f"{field} must be {rule}, got {value!r}")
                self.assertEqual(caught.exception.field, field)

    def test_durations_are_kept_in_milliseconds(self) -> None:
        retry = Retry(delay="1.5s", max_delay=60)
        self.assertEqual((retry.delay_ms, retry.max_delay_ms), (1500, 60_000))
        self.assertIsNone(Retry().max_delay_ms)

    def test_policies_are_equal_when_they_do_the_same(self) -> None:
        self.assertEqual(Retry(delay="60s"), Retry(delay="1m"))
        self.assertEqual(hash(Retry(delay="60s")), hash(Retry(delay=60)))
        self.assertNotEqual(Retry(delay="61s"), Retry(delay="1m"))
        self.assertNotEqual(Retry(max_delay="1m"), Retry())

    def test_a_policy_cannot_be_changed(self) -> None:
        for name in ("attempts", "delay", "delay_ms"):
            with self.subTest(name), self.assertRaises(AttributeError):
                setattr(Retry(), name, 5)


if __name__ == "__main__":
    unittest.main()
