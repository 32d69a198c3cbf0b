"""Figures, and how they are printed."""

from __future__ import annotations

import os
import platform
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value beside its bound and the brute-force baseline of the same run."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    higher_is_better: bool = False
    baseline: float | None = None
    baseline_name: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the bound is met; None without one."""
        if self.bound is None:
            return None
        return self.value >= self.bound if self.higher_is_better else self.value <= self.bound

    @property
    def ratio(self) -> float | None:
        """How many times better than the baseline."""
        if not self.baseline or not self.value:
            return None
        return self.value / self.baseline if self.higher_is_better else self.baseline / self.value


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
    }


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [("what", "measured", "bound", "", "baseline", "times better")]
    for figure in figures:
        holds = {True: "holds", False: "MISSED", None: ""}[figure.holds]
        sign = "≥" if figure.higher_is_better else "≤"
        rows.append(
            (
                figure.name,
                f"{_number(figure.value)} {figure.unit}",
                "" if figure.bound is None else f"{sign} {_number(figure.bound)} {figure.unit}",
                holds,
                f"{_number(figure.baseline)} {figure.unit} {figure.baseline_name}"
                if figure.baseline
                else "",
                f"{figure.ratio:.1f}" if figure.ratio else "",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def as_json(figures: list[Figure]) -> list[dict[str, Any]]:
    """Return the figures as plain data."""
    return [asdict(f) | {"holds": f.holds, "ratio": f.ratio} for f in figures]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
