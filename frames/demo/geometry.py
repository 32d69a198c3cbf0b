"""Points in the street's world and where a camera sees them.

The world is in metres: x to the right of the road, y up, z along it. Pictures are in pixels,
origin top left, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Point = tuple[float, float]
Ring = list[Point]
Seen = tuple[float, float, float]

# Nothing nearer than this is seen; points behind the camera have no place in the picture.
NEAR_M: Final = 0.6


@dataclass(frozen=True, slots=True)
class Camera:
    """A level camera that looks along the road, forward or, if `backward`, the other way."""

    x: float
    y: float
    z: float
    width: int
    height: int
    focal_px: float
    horizon: float = 0.45
    backward: bool = False

    @property
    def horizon_px(self) -> float:
        """The row of the horizon."""
        return self.horizon * self.height

    def depth(self, z: float) -> float:
        """Return how far before the camera a place along the road lies, in metres."""
        return self.z - z if self.backward else z - self.z

    def seen(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (n, 3) world points to the camera's: right, up, forward, in metres."""
        moved = points - (self.x, self.y, self.z)
        return moved * (-1.0, 1.0, -1.0) if self.backward else moved

    def project(self, seen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, 2) pixels of points before the camera."""
        scale = self.focal_px / seen[:, 2:]
        return seen[:, :2] * scale * (1, -1) + (self.width / 2, self.horizon_px)

    def ring(self, points: Sequence[Sequence[float]]) -> Ring:
        """Return a flat polygon of the world as it is seen, without what is behind the camera.

        Plain floats: for four corners NumPy would take ten times as long.
        """
        way = -1 if self.backward else 1
        seen = [(way * (x - self.x), y - self.y, way * (z - self.z)) for x, y, z in points]
        if any(z < NEAR_M for _, _, z in seen):
            seen = _clipped_at_near(seen)
        middle, horizon, focal = self.width / 2, self.horizon_px, self.focal_px
        return [(middle + focal * x / z, horizon - focal * y / z) for x, y, z in seen]

    def hull(self, points: Sequence[Sequence[float]]) -> Ring:
        """Return the outline of a convex solid with these corners, [] if part of it is behind."""
        if any(self.depth(z) < NEAR_M for _, _, z in points):
            return []
        return convex_hull(self.ring(points))


def _clipped_at_near(seen: list[Seen]) -> list[Seen]:
    """Cut a polygon of camera points where it comes nearer than NEAR_M."""
    kept: list[Seen] = []
    for index, (x, y, z) in enumerate(seen):
        px, py, pz = seen[index - 1]
        if (z >= NEAR_M) != (pz >= NEAR_M):
            share = (NEAR_M - pz) / (z - pz)
            kept.append((px + share * (x - px), py + share * (y - py), NEAR_M))
        if z >= NEAR_M:
            kept.append((x, y, z))
    return kept


def convex_hull(points: Sequence[Point]) -> Ring:
    """Return the corners of the convex hull, counter-clockwise (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return list(ordered)

    def chain(sequence: Sequence[Point]) -> Ring:
        kept: Ring = []
        for x, y in sequence:
            while len(kept) > 1:
                (ax, ay), (bx, by) = kept[-2], kept[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return chain(ordered) + chain(ordered[::-1])


def clipped_to_picture(ring: Ring, width: int, height: int) -> Ring:
    """Return the part of a polygon that lies in the picture (Sutherland and Hodgman).

    Exact for convex polygons; a concave one may keep edges along the picture's border.
    """
    for axis, bound, sign in (
        (0, 0.0, 1),
        (0, float(width), -1),
        (1, 0.0, 1),
        (1, float(height), -1),
    ):
        kept: Ring = []
        for index, point in enumerate(ring):
            previous = ring[index - 1]
            inside = (point[axis] - bound) * sign >= 0
            if inside != ((previous[axis] - bound) * sign >= 0):
                share = (bound - previous[axis]) / (point[axis] - previous[axis])
                crossing = [a + share * (b - a) for a, b in zip(previous, point, strict=True)]
                crossing[axis] = bound
                kept.append((crossing[0], crossing[1]))
            if inside:
                kept.append(point)
        ring = kept
    return ring


def bounds(ring: Ring) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a polygon."""
    xs, ys = zip(*ring, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def area(ring: Ring) -> float:
    """Return the area of a polygon in square pixels."""
    total = 0.0
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        total += ax * by - bx * ay
    return abs(total) / 2


def projected_circle(
    camera: Camera, centre: Sequence[float], u: Sequence[float], v: Sequence[float]
) -> tuple[float, float, float, float, float] | None:
    """Return the ellipse that a circle of the world is seen as, None if part of it is behind.

    A camera turns conics into conics: with H from the circle's plane to the picture, the unit
    circle C becomes inv(H).T @ C @ inv(H).

    Args:
        camera: who sees it.
        centre: middle of the circle, in metres.
        u, v: two radii at right angles, in metres.

    Returns:
        Centre x and y, both radii in pixels, and the angle of the first radius in radians,
        clockwise from the picture's x axis.
    """
    points = camera.seen(np.array([centre, np.add(centre, u), np.add(centre, v)], dtype=float))
    middle, first, second = points[0], points[1] - points[0], points[2] - points[0]
    if middle[2] - np.hypot(first[2], second[2]) < NEAR_M:
        return None
    focal, cx, cy = camera.focal_px, camera.width / 2, camera.horizon_px
    intrinsics = np.array([[focal, 0, cx], [0, -focal, cy], [0, 0, 1]])
    inverse = np.linalg.inv(intrinsics @ np.column_stack([first, second, middle]))
    conic = inverse.T @ np.diag([1.0, 1.0, -1.0]) @ inverse
    quadratic, linear = conic[:2, :2], conic[:2, 2]
    place = -np.linalg.solve(quadratic, linear)
    scale = -(conic[2, 2] + linear @ place)
    values, vectors = np.linalg.eigh(quadratic)
    radii = np.sqrt(scale / values)
    angle = np.arctan2(vectors[1, 0], vectors[0, 0]) % np.pi
    return float(place[0]), float(place[1]), float(radii[0]), float(radii[1]), float(angle)
