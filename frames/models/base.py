"""What several nouns share."""

from __future__ import annotations

import unicodedata
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from confusable_homoglyphs import confusables
from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.db.backends.base.base import BaseDatabaseWrapper

# Order by bytes, on every database and machine the same. SQLite knows BINARY; on PostgreSQL the
# first migration creates it, since a cluster's own order (en_US, say) would page differently.
BYTES: Final = "BINARY"


class RowId(models.BigIntegerField):  # type: ignore[type-arg]  # generic in the stubs alone
    """A primary key that the program gives, and that the table lies in the order of.

    SQLite does so only where the column's type is the word INTEGER: of a bigint it keeps an index
    beside the table, and each look-up is two. All of its other indexes then hold the key too.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the column's type."""
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


M = TypeVar("M", bound=models.Model)


class VisibleQuerySet(models.QuerySet[M]):
    """Rows that belong to a project, by who may see them.

    `deleted` is the way to the date on which what the rows belong to was deleted, if it can be.
    """

    grants: ClassVar[str] = "project__grants"
    deleted: ClassVar[str] = ""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Keep the rows of projects the user has a grant in; superusers see all but the deleted."""
        rows = self.filter(**{self.deleted: None}) if self.deleted else self
        if user.is_superuser:
            return rows
        return rows.filter(**{f"{self.grants}__user_id": user.pk})


def name_key(name: str) -> str:
    """Return what names are compared by: no two with one key stand side by side.

    Case, width and ligatures do not tell names apart (NFKC, case folding), nor do letters of
    other alphabets that look like Latin ones (Unicode's confusables, UTS 39).

    >>> name_key("CURRENT"), name_key("\u0421urrent"), name_key("Straße")
    ('current', 'current', 'strasse')
    """
    return "".join(map(_latin, unicodedata.normalize("NFKC", name).casefold()))


def _latin(letter: str) -> str:
    """Return the ASCII letter or digit that a letter of another alphabet looks like, or itself."""
    if letter.isascii():
        return letter
    for found in confusables.is_confusable(letter, greedy=True) or ():
        for homoglyph in found["homoglyphs"]:
            if len(homoglyph["c"]) == 1 and homoglyph["c"].isascii() and homoglyph["c"].isalnum():
                return str(homoglyph["c"]).casefold()
    return letter


class Named(models.Model):
    """What has a name that is told apart from its neighbours' by `name_key`."""

    name = models.CharField(max_length=255)
    name_key = models.CharField(max_length=255, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, the key in step with the name."""
        self.name_key = name_key(self.name)
        fields = kwargs.get("update_fields")
        if fields is not None and "name" in fields:
            kwargs["update_fields"] = {*fields, "name_key"}
        super().save(*args, **kwargs)


def new_uid() -> str:
    """Return a new public id: 32 hexadecimal digits, as ClearML's and COCO's tools expect them."""
    return uuid.uuid4().hex
