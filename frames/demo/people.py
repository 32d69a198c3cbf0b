"""The demo project and its people, one of each role."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction

from frames.models import Grant, Project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT_NAME: Final = "Demo"
ROLES: Final = {
    "viewer": Grant.Role.VIEWER,
    "editor": Grant.Role.EDITOR,
    "admin": Grant.Role.ADMIN,
}


def password_path() -> Path:
    """Return the file that keeps the demo people's password, readable by the operator alone."""
    path: Path = settings.VAR_DIR / "demo_password"
    return path


def ensure_people() -> dict[str, str]:
    """Make the demo project, its viewer, editor and admin, where they are missing.

    The admin may use Django's admin too. People who exist keep their password.

    Returns:
        Each one's user name and the password the three were made with.
    """
    password = _password()
    with transaction.atomic():
        project, _ = Project.objects.get_or_create(
            name=PROJECT_NAME, defaults={"description": "Made by Framedeck, to look around in."}
        )
        hashed = ""
        for name, role in ROLES.items():
            user = User.objects.filter(username=name).first()
            if user is None:
                hashed = hashed or make_password(password)  # slow on purpose: once for all
                is_admin = role == Grant.Role.ADMIN
                user = User.objects.create(
                    username=name, password=hashed, is_staff=is_admin, is_superuser=is_admin
                )
            Grant.objects.get_or_create(project=project, user=user, defaults={"role": role})
    return dict.fromkeys(ROLES, password)


def _password() -> str:
    """Return the password kept in the state folder, made on the first call."""
    path = password_path()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        password = secrets.token_urlsafe(9)
        file.write(f"{password}\n")
    return password
