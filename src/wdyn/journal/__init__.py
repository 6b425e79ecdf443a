"""Frames: what a recorded step looks like on disk while training runs."""
