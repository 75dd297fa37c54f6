"""The review desk: proofs of transfers, oldest first; and money that is to be settled."""

from console.views.desk.receipts.review import ReceiptsView

__all__ = ["ReceiptsView"]
