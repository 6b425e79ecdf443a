"""Winning tickets: find them, prove them, compare them honestly."""

from wdyn.tickets.controls import Controls, run_controls
from wdyn.tickets.search import Search, find_ticket, open_search
from wdyn.tickets.transfer import Transfer, transfer
from wdyn.tickets.transfer_matrix import Site, TransferMatrix, transfer_matrix

__all__ = [
    "Controls",
    "Search",
    "Site",
    "Transfer",
    "TransferMatrix",
    "find_ticket",
    "open_search",
    "run_controls",
    "transfer",
    "transfer_matrix",
]
