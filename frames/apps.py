"""Registers the `frames` application."""

from django.apps import AppConfig


class FramesConfig(AppConfig):
    """Projects, datasets, versions, frames and everything people do with them."""

    name = "frames"
    verbose_name = "Framedeck"
