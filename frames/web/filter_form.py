"""The filter builder's form: cards and rules as they are filled in, and what is wrong with them.

Names of its fields are flat: `f0.r1.label` is a label of the second region rule of the first
card. Numbers only tell the order; what is missing between them does not matter.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from frames.search.builder import (
    Builder,
    FrameFilter,
    RegionRule,
    from_text,
    read_region_text,
    region_text,
    to_text,
)
from frames.search.errors import QueryError
from frames.search.query import Q_MAX_CHARS
from frames.search.syntax import parse, parse_inside
from frames.web.labels import Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import QueryDict

CARDS_MAX: Final = 50
RULES_MAX: Final = 50
FIELD: Final = re.compile(r"f(\d{1,3})\.(?:r(\d{1,3})\.)?(\w+)")

T = TypeVar("T", int, float)


@dataclass(slots=True)
class RuleForm:
    """A region rule; `added` is the label being typed, `focus` says that it was just changed.

    `wrong` names what `problem` is about: confidence, count or lucene.
    """

    excludes: bool = False
    is_lucene: bool = False
    labels: list[str] = field(default_factory=list)
    added: str = ""
    low: str = ""
    high: str = ""
    least: str = ""
    most: str = ""
    lucene: str = ""
    problem: str = ""
    wrong: str = ""
    note: str = ""
    focus: bool = False

    @classmethod
    def of(cls, rule: RegionRule) -> RuleForm:
        """Return the form of a rule."""
        least, most = rule.count or (None, None)
        low, high = rule.confidence
        return cls(
            excludes=rule.excludes,
            is_lucene=bool(rule.lucene),
            labels=list(rule.labels),
            low=_text(low),
            high=_text(high),
            least=_text(least),
            most=_text(most),
            lucene=rule.lucene,
        )

    @property
    def chips(self) -> list[Label]:
        """The labels with their look."""
        return [Label(name) for name in self.labels]

    def take(self) -> None:
        """Make the typed label one of the labels."""
        if self.added and self.added not in self.labels:
            self.labels.append(self.added)
        self.added = ""

    def switch(self) -> None:
        """Turn labels and confidence into text, or text into them where they say it."""
        self.focus = True
        if not self.is_lucene:
            rule = self.rule()
            if not self.problem:
                text = region_text(rule)
                self.is_lucene, self.lucene = True, "" if text == "*" else text
            return
        try:
            plain = read_region_text(self.lucene) if self.lucene else RegionRule()
        except QueryError as error:
            self.problem = error.message
            return
        if plain is None:
            self.note = "Labels and a confidence cannot say this text. It stays as it is."
            return
        self.is_lucene, self.lucene = False, ""
        self.labels = list(plain.labels)
        self.low, self.high = map(_text, plain.confidence)

    def rule(self) -> RegionRule:
        """Return the rule; what is wrong is told in `problem`."""
        self.problem = self.wrong = ""
        self.take()
        try:
            self.wrong = "count"
            count = _pair(self.least, self.most, _whole, "The number of regions")
            self.wrong = "confidence"
            confidence = _pair(self.low, self.high, _share, "The confidence")
            if self.is_lucene and self.lucene:
                self.wrong = "lucene"
                parse_inside(self.lucene, "rois")
                confidence = (None, None)
            elif confidence != (None, None) and not self.labels:
                raise QueryError("A confidence is asked beside a label. Choose one.")
        except QueryError as error:
            self.problem = error.message
            return RegionRule()
        self.wrong = ""
        least, most = count
        return RegionRule(
            excludes=self.excludes,
            labels=() if self.is_lucene else tuple(self.labels),
            confidence=confidence,
            count=None if count == (None, None) else (1 if least is None else least, most),
            lucene=self.lucene if self.is_lucene else "",
        )


@dataclass(slots=True)
class CardForm:
    """A frame filter: its region rules, frame rule and source rule."""

    rules: list[RuleForm] = field(default_factory=list)
    frame_rule: str = ""
    source_rule: str = ""
    frame_problem: str = ""
    source_problem: str = ""
    focus: bool = False

    @classmethod
    def of(cls, each: FrameFilter) -> CardForm:
        """Return the form of a filter."""
        rules = [RuleForm.of(rule) for rule in each.regions]
        return cls(rules, each.frame_rule, each.source_rule)

    def filter(self) -> FrameFilter:
        """Return the filter; what is wrong is told in the problems."""
        self.frame_problem = _problem(self.frame_rule, parse)
        self.source_problem = _problem(self.source_rule, lambda text: parse_inside(text, "sources"))
        rules = tuple(rule.rule() for rule in self.rules)
        return FrameFilter(rules, self.frame_rule, self.source_rule)

    @property
    def is_wrong(self) -> bool:
        """Whether a rule cannot be meant."""
        wrong = any(rule.problem for rule in self.rules)
        return bool(wrong or self.frame_problem or self.source_problem)


@dataclass(slots=True)
class FilterForm:
    """The builder as it is filled in; `problem` is what is wrong with all of it."""

    cards: list[CardForm]
    problem: str = ""

    @classmethod
    def of(cls, text: str) -> FilterForm:
        """Return the form of a query text."""
        form = cls([CardForm.of(each) for each in from_text(text).filters])
        if len(form.cards) > 1:
            for card in form.cards:
                if card == CardForm():
                    # Beside others a card without a rule is left out: this one says so much.
                    card.frame_rule = "*"
        if text:
            form.text()
        return form

    @classmethod
    def sent(cls, given: QueryDict) -> FilterForm:
        """Return the form with what a person has sent."""
        cards: dict[int, CardForm] = {}
        rules: dict[tuple[int, int], RuleForm] = {}
        for name in given:
            found = FIELD.fullmatch(name)
            if found is None:
                continue
            card = cards.setdefault(int(found[1]), CardForm())
            if found[2] is None:
                _fill_card(card, found[3], str(given[name]).strip())
            else:
                rule = rules.setdefault((int(found[1]), int(found[2])), RuleForm())
                _fill(rule, found[3], given.getlist(name))
        for (card_number, _), rule in sorted(rules.items(), key=lambda item: item[0]):
            cards[card_number].rules.append(rule)
        form = cls([cards[number] for number in sorted(cards)] or [CardForm()])
        if len(form.cards) > CARDS_MAX or any(len(c.rules) > RULES_MAX for c in form.cards):
            form.problem = f"At most {CARDS_MAX} filters of {RULES_MAX} rules are taken."
            form.cards = form.cards[:CARDS_MAX]
            for card in form.cards:
                del card.rules[RULES_MAX:]
        return form

    @property
    def is_wrong(self) -> bool:
        """Whether something in it cannot be meant."""
        return bool(self.problem) or any(card.is_wrong for card in self.cards)

    def text(self) -> str:
        """Return the query text, cards without a rule left out; "" where something is wrong."""
        filters = [card.filter() for card in self.cards]
        if self.is_wrong:
            return ""
        asked = tuple(each for each in filters if each != FrameFilter())
        text = to_text(Builder(asked or (FrameFilter(),)))
        if len(text) > Q_MAX_CHARS:
            self.problem = f"The filter is longer than {Q_MAX_CHARS:,} characters as text."
        return text

    def change(self, change: str) -> None:
        """Do what a button of the form says: `add-rule:0`, `drop-label:0.1.2`."""
        for card in self.cards:
            for rule in card.rules:
                rule.take()
        verb, _, place = change.partition(":")
        try:
            self._change(verb, [int(part) for part in place.split(".") if part])
        except (IndexError, ValueError):
            # A form of another state of the page: shown as it is.
            return

    def _change(self, verb: str, numbers: list[int]) -> None:
        if verb == "add-filter":
            self.cards.append(CardForm(focus=True))
            return
        card = self.cards[numbers[0]] if numbers else CardForm()
        if verb == "remove-filter":
            self.cards.remove(card)
            self.cards = self.cards or [CardForm()]
        elif verb == "add-rule":
            card.rules.append(RuleForm(focus=True))
        elif verb == "remove-rule":
            del card.rules[numbers[1]]
        elif verb == "switch":
            card.rules[numbers[1]].switch()
        elif verb == "drop-label":
            rule = card.rules[numbers[1]]
            del rule.labels[numbers[2]]
            rule.focus = True
        elif verb == "take-label":
            card.rules[numbers[1]].focus = True


def _fill_card(card: CardForm, name: str, value: str) -> None:
    if name == "frame":
        card.frame_rule = value
    elif name == "source":
        card.source_rule = value


def _fill(rule: RuleForm, name: str, values: list[str]) -> None:
    value = values[-1].strip()
    if name == "mode":
        rule.excludes = value == "exclude"
    elif name == "as":
        rule.is_lucene = value == "lucene"
    elif name == "label":
        rule.labels = list(dict.fromkeys(each for each in values if each))
    elif name in ("added", "low", "high", "least", "most", "lucene"):
        setattr(rule, name, value)


def _problem(text: str, read: Callable[[str], object]) -> str:
    try:
        if text:
            read(text)
    except QueryError as error:
        return error.message
    return ""


def _pair(
    low: str, high: str, read: Callable[[str], T | None], name: str
) -> tuple[T | None, T | None]:
    least, most = read(low), read(high)
    if least is not None and most is not None and least > most:
        raise QueryError(f"{name} runs backwards: {low} is more than {high}.")
    return least, most


def _share(text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise QueryError(f"The confidence is a number from 0 to 1, not {text[:20]}.")
    return number


def _whole(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise QueryError(f"The number of regions is a whole number, not {text[:20]}.")
    return int(text)


def _text(number: float | None) -> str:
    return "" if number is None else repr(number).removesuffix(".0")
