"""Winning tickets: find them, prove them, compare them honestly."""

from wdyn.tickets.audit import audit
from wdyn.tickets.controls import Controls, run_controls
from wdyn.tickets.direct import prune
from wdyn.tickets.masks import apply_masks, masks_of, prunable
from wdyn.tickets.search import Search, find_ticket, open_search
from wdyn.tickets.transfer import Transfer, transfer
from wdyn.tickets.transfer_matrix import Site, TransferMatrix, transfer_matrix

__all__ = [
    "Controls",
    "Search",
    "Site",
    "Transfer",
    "TransferMatrix",
    "apply_masks",
    "audit",
    "find_ticket",
    "masks_of",
    "open_search",
    "prunable",
    "prune",
    "run_controls",
    "transfer",
    "transfer_matrix",
]
