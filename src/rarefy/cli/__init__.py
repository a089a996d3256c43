"""The command: ``rarefy demo | train | prune | inspect | report | methods | doctor``."""

from rarefy.cli._app import app, main

__all__ = [
    "app",
    "main",
]
