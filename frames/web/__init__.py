"""The server-rendered pages: one file a page, access in one place."""
