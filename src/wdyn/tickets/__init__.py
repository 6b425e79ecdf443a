"""Winning tickets: find them, prove them, compare them honestly."""
