"""Frames → run.h5 → Run: the only user of h5py."""
