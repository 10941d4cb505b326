"""Ledger: every claim of the papers with the verdict of the committed results."""

from studies.ledger.committed import Committed, read_committed
from studies.ledger.counts import counts_of
from studies.ledger.faults import faults_of
from studies.ledger.gallery import gallery_page
from studies.ledger.page import ledger_page

__all__ = ["Committed", "counts_of", "faults_of", "gallery_page", "ledger_page", "read_committed"]
