"""Payments, their proofs, and the webhooks that report them."""

from console.services.doctor_checks.check import Check

PAYMENTS = (
    Check(
        "payment-status",
        "a booking says of its payment what the payment says",
        """
SELECT format('booking %s: payment %s is of another booking', b.id, p.id) AS told
FROM event.bookings b JOIN payment.payments p ON p.id = b.payment_id WHERE p.booking_id <> b.id
UNION ALL
SELECT format('booking %s says %s, payment %s is %s', b.id, b.payment_status, p.id, p.status)
FROM event.bookings b JOIN payment.payments p ON p.id = b.payment_id
WHERE p.booking_id = b.id AND p.status <> b.payment_status
UNION ALL
SELECT format('booking %s says %s and has no such payment', b.id, b.payment_status)
FROM event.bookings b
WHERE b.payment_id IS NULL AND b.payment_status IN ('SUBMITTED', 'SUCCEEDED', 'REJECTED', 'REFUNDED')
    AND NOT EXISTS (
        SELECT FROM payment.payments p WHERE p.booking_id = b.id AND p.status = b.payment_status)
""",
    ),
    Check(
        "paid-pending",
        "a booking that is paid is not pending any more",
        """
SELECT format('booking %s', id) AS told FROM event.bookings
WHERE status = 'PENDING' AND payment_status = 'SUCCEEDED'
""",
    ),
    Check(
        "free-of-charge",
        "only what costs nothing needs no payment",
        """
SELECT format('booking %s costs %s', id, amount) AS told FROM event.bookings
WHERE payment_status = 'NOT_REQUIRED' AND amount > 0
""",
    ),
    Check(
        "provider-payment",
        "a payment of a provider is ours once",
        """
SELECT format('%s %s: %s payments', provider, provider_payment_id, count(*)) AS told
FROM payment.payments WHERE provider_payment_id IS NOT NULL
GROUP BY provider, provider_payment_id HAVING count(*) > 1
""",
    ),
    Check(
        "receipt-decision",
        "a receipt is decided once: with a time, a reviewer, and a reason if it is rejected",
        """
SELECT format('receipt %s: %s', id, CASE
    WHEN decision IS NULL THEN 'a reviewer and no time of review'
    WHEN reviewed_at IS NULL THEN 'no time of review' WHEN reviewed_by IS NULL THEN 'no reviewer'
    ELSE 'no reason' END) AS told
FROM payment.payment_receipts
WHERE (decision IS NULL AND reviewed_at IS NULL AND reviewed_by IS NOT NULL)
    OR (decision IS NOT NULL AND (reviewed_at IS NULL OR reviewed_by IS NULL))
    OR (decision = 'REJECTED' AND coalesce(reject_reason, '') = '')
UNION ALL
SELECT format('payment %s: approved %s times', payment_id, count(*))
FROM payment.payment_receipts WHERE decision = 'APPROVED' GROUP BY payment_id HAVING count(*) > 1
""",
    ),
    # A receipt that was reviewed before the console came has no decision: the payment has it. A transfer that
    # staff saw on the account (its provider is the bank) and a part that was split off have no proof.
    Check(
        "receipt-payment",
        "a transfer in review has one proof to decide on, a decided one has its decision",
        """
WITH proofs AS (
    SELECT payment_id, count(*) FILTER (WHERE reviewed_at IS NULL) AS waiting,
        count(*) FILTER (WHERE reviewed_at IS NOT NULL AND decision IS DISTINCT FROM 'REJECTED') AS approved,
        count(*) FILTER (WHERE reviewed_at IS NOT NULL AND decision IS DISTINCT FROM 'APPROVED') AS rejected
    FROM payment.payment_receipts GROUP BY payment_id
), state AS (
    SELECT p.id, p.status, coalesce(r.waiting, 0) AS waiting, coalesce(r.approved, 0) AS approved,
        coalesce(r.rejected, 0) AS rejected
    FROM payment.payments p LEFT JOIN proofs r ON r.payment_id = p.id
    WHERE (p.method = 'QR_MANUAL' AND p.provider IS NULL AND p.split_from IS NULL)
        OR r.payment_id IS NOT NULL
)
SELECT format('payment %s is %s: %s proofs wait, %s approved, %s rejected', id, status, waiting, approved,
    rejected) AS told
FROM state
WHERE waiting <> CASE WHEN status = 'SUBMITTED' THEN 1 ELSE 0 END
    OR (status IN ('SUCCEEDED', 'REFUNDED') AND approved = 0) OR (status = 'REJECTED' AND rejected = 0)
""",
    ),
    Check(
        "receipt-proof",
        "a proof that waits for its review is there to be seen",
        """
SELECT format('receipt %s', r.id) AS told
FROM payment.payment_receipts r LEFT JOIN media.files f ON f.id = r.file_id
WHERE r.reviewed_at IS NULL AND (f.expires_at <= now()
    OR (f.id IS NULL AND (r.proof_url IS NULL OR r.proof_url LIKE 'file:%') AND NOT EXISTS (
        SELECT FROM media.files o
        WHERE o.owner_type = 'PAYMENT_RECEIPT' AND o.owner_id = r.id AND o.part IS NULL)))
""",
    ),
    Check(
        "proof-pages",
        "a proof that was inspected has a picture of each page, or a reason why not",
        """
SELECT format('file %s: %s pages, %s pictures', f.id, f.page_count, count(p.id)) AS told
FROM media.files f LEFT JOIN media.files p ON p.source_id = f.id AND p.part LIKE 'page-%'
WHERE f.inspected_at IS NOT NULL AND f.problem IS NULL AND f.content_type = 'application/pdf'
    AND (f.expires_at IS NULL OR f.expires_at > now())
GROUP BY f.id, f.page_count HAVING count(p.id) IS DISTINCT FROM f.page_count
""",
    ),
    Check(
        "webhook",
        "a webhook that was applied has its time, one to be applied has none",
        """
SELECT format('webhook %s is %s', idempotency_key, status) AS told FROM payment.webhook_events
WHERE (status = 'PROCESSED' AND processed_at IS NULL) OR (status = 'PENDING' AND processed_at IS NOT NULL)
""",
    ),
)
