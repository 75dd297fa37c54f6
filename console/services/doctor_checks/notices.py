"""The outbox."""

from console.services.doctor_checks.check import Check

NOTICES = (
    Check(
        "outbox-end",
        "a notice that was sent has its time; one that failed or was skipped has a reason",
        """
SELECT format('notice %s is %s', id, status) AS told FROM notification.outbox
WHERE (status = 'SENT' AND sent_at IS NULL) OR (status IN ('FAILED', 'SKIPPED') AND coalesce(reason, '') = '')
""",
    ),
    Check(
        "outbox-lease",
        "a notice that is being sent is leased, and no other one is",
        """
SELECT format('notice %s is %s', id, status) AS told FROM notification.outbox
WHERE (status = 'SENDING') <> (leased_until IS NOT NULL AND lease_token IS NOT NULL)
""",
    ),
    Check(
        "chat-owner",
        "a verified chat belongs to one person",
        """
SELECT format('chat %s belongs to %s people', telegram_chat_id, count(*)) AS told
FROM notification.telegram_subscriptions
WHERE verified_at IS NOT NULL AND telegram_chat_id IS NOT NULL AND blocked_at IS NULL
GROUP BY telegram_chat_id HAVING count(*) > 1
""",
    ),
    Check(
        "outbox-once",
        "what is to be said once is queued once",
        """
SELECT format('%s: %s notices', dedupe_key, count(*)) AS told FROM notification.outbox
WHERE dedupe_key IS NOT NULL GROUP BY dedupe_key HAVING count(*) > 1
""",
    ),
)
