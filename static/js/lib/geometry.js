// Pure arithmetic of the viewer and the grid; no DOM.

/** How much a picture is scaled to fit a stage: screen px a picture px. */
export function fitScale(stage, picture) {
  if (!picture.width || !picture.height) return 1;
  return Math.min(stage.width / picture.width, stage.height / picture.height);
}

/**
 * Keep a view {zoom, x, y} inside its stage: no further out than the picture's own pixels or the
 * fit, whichever is smaller, no further in than 40 screen px a picture px, never off the stage.
 */
export function clampView(view, stage, scale) {
  const smallest = Math.min(1, 1 / scale);
  const largest = Math.max(1, 40 / scale);
  const zoom = Math.min(largest, Math.max(smallest, view.zoom));
  const place = (at, size) =>
    zoom <= 1 ? (size * (1 - zoom)) / 2 : Math.min(0, Math.max(size * (1 - zoom), at));
  return { zoom, x: place(view.x, stage.width), y: place(view.y, stage.height) };
}

/** Zoom by a factor so that what lies under a point stays there. */
export function zoomAt(view, factor, point) {
  return {
    zoom: view.zoom * factor,
    x: point.x - (point.x - view.x) * factor,
    y: point.y - (point.y - view.y) * factor,
  };
}

/**
 * The box to go to from one of several in reading order; -1 where there is none.
 * Up and down go to the nearest box of the next row that differs.
 */
export function neighbour(boxes, from, key) {
  const last = boxes.length - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "ArrowLeft") return from - 1;
  if (key === "ArrowRight") return from < last ? from + 1 : -1;
  const here = boxes[from];
  const down = key === "ArrowDown";
  const middle = (box) => box.left + box.width / 2;
  let best = -1;
  for (let i = down ? from + 1 : from - 1; i >= 0 && i <= last; i += down ? 1 : -1) {
    if (down ? boxes[i].top <= here.top + 1 : boxes[i].top >= here.top - 1) continue;
    if (best >= 0 && Math.abs(boxes[i].top - boxes[best].top) > 1) break;
    const closer =
      best < 0 ||
      Math.abs(middle(boxes[i]) - middle(here)) < Math.abs(middle(boxes[best]) - middle(here));
    if (closer) best = i;
  }
  return best;
}
