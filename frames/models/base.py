"""What several nouns share."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

# Order by bytes, on every database and machine the same. SQLite knows BINARY; on PostgreSQL the
# first migration creates it, since a cluster's own order (en_US, say) would page differently.
BYTES: Final = "BINARY"


M = TypeVar("M", bound=models.Model)


class VisibleQuerySet(models.QuerySet[M]):
    """Rows that belong to a project, by who may see them."""

    grants: ClassVar[str] = "project__grants"

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Keep the rows of projects the user has a grant in; superusers see all."""
        if user.is_superuser:
            return self
        return self.filter(**{f"{self.grants}__user_id": user.pk})


def new_uid() -> str:
    """Return a new public id: 32 hexadecimal digits, as ClearML's and COCO's tools expect them."""
    return uuid.uuid4().hex
