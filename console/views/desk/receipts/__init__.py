"""The review desk: proofs of transfers, oldest first; and money that is to be settled."""

from console.views.desk.receipts.review import ReceiptsView
from console.views.desk.receipts.second import SecondView
from console.views.desk.receipts.settle import SettleView

__all__ = ["ReceiptsView", "SecondView", "SettleView"]
