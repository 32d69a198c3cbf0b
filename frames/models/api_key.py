"""An API key: how a script signs in. Only a digest of its secret is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.conf import settings
from django.db import models


def _digest(secret: str) -> str:
    """Return the keyed digest of a secret: 64 hexadecimal digits."""
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, secret.encode(), hashlib.sha256).hexdigest()


class ApiKey(models.Model):
    """A key of one person: a public prefix to find it by and the digest of its secret."""

    class Scope(models.TextChoices):
        """Read: what its owner may see. Write: what its owner may do."""

        READ = "read", "Read"
        WRITE = "write", "Write"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=255)
    prefix = models.CharField(max_length=20, unique=True)
    digest = models.CharField(max_length=64)
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    def set_new_secret(self) -> str:
        """Give the key a fresh prefix and secret, unsaved; return the secret, seen only now."""
        self.prefix = secrets.token_hex(10)
        secret = secrets.token_urlsafe(32)
        self.digest = _digest(secret)
        return secret

    def has_secret(self, secret: str) -> bool:
        """Tell, in constant time, whether this is the key's secret."""
        return hmac.compare_digest(self.digest, _digest(secret))
