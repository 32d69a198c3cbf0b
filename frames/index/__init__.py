"""The bitmap index: which frames have what, as compressed sets of ordinals.

A frame revision is an ordinal, its number inside its dataset. What a version holds
(`membership`), which frames have a value (`postings`) and which regions do (`regions`) are
roaring bitmaps, stored by segment of 65,536 ordinals. Everything above asks set algebra of
`reader.DatasetIndex`; nothing above touches a bitmap's bytes.

Membership is the truth and is written with the frames. Postings are derived: `rebuild` makes
them again from the rows, `check` proves them equal to a pass over the rows.

Source: Lemire, Kaser, Kurz et al., "Roaring Bitmaps: Implementation of an Optimized Software
Library", Software: Practice and Experience 48 (2018).
"""
