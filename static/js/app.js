// What every page loads. Each element makes better what works without it.

import "./elements/context-strip.js";
import "./elements/copy-text.js";
import "./elements/file-drop.js";
import "./elements/filter-builder.js";
import "./elements/frame-stepper.js";
import "./elements/frame-viewer.js";
import "./elements/label-filter.js";
import "./elements/preview-filler.js";
import "./elements/range-brush.js";
import "./elements/roving-grid.js";
import "./elements/selection-bar.js";
import "./elements/table-columns.js";
import "./elements/version-menu.js";
import "./elements/view-table.js";
import "./lib/forms.js";
import "./lib/menus.js";
import "./lib/shortcuts.js";
import "./lib/theme.js";
