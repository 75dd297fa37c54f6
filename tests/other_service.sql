-- The database as another service made it: the same tables and columns, its own names for keys and constraints,
-- fewer constraints, and rows of every table.
CREATE SCHEMA "user"; CREATE SCHEMA event; CREATE SCHEMA crew; CREATE SCHEMA payment;
CREATE SCHEMA notification; CREATE SCHEMA media;

CREATE TABLE "user".users (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), username VARCHAR(150) NOT NULL UNIQUE, password_hash TEXT,
    role VARCHAR(32) NOT NULL DEFAULT 'USER'
        CONSTRAINT valid_role CHECK (role IN ('GUEST', 'USER', 'ORGANIZER', 'FINANCE', 'ADMIN')),
    active BOOLEAN NOT NULL DEFAULT true);
CREATE TABLE "user".profiles (
    user_id UUID PRIMARY KEY REFERENCES "user".users, phone VARCHAR(32), telegram VARCHAR(64),
    is_telegram_verified BOOLEAN NOT NULL DEFAULT false, extra JSONB NOT NULL DEFAULT '{}');
CREATE TABLE "user".refresh_sessions (
    jti UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id UUID NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL DEFAULT now(), expires_at TIMESTAMPTZ NOT NULL, revoked_at TIMESTAMPTZ);
CREATE TABLE "user".recovery_codes (
    user_id UUID NOT NULL, code_hash VARCHAR(255) NOT NULL, used_at TIMESTAMPTZ, expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, code_hash));
CREATE TABLE "user".audit_log (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), actor_user_id UUID, action VARCHAR(64) NOT NULL,
    target_type VARCHAR(64) NOT NULL, target_id UUID, payload JSONB NOT NULL DEFAULT '{}');

CREATE TABLE event.organizers (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), slug VARCHAR(80) NOT NULL, name VARCHAR(200) NOT NULL,
    logo_url TEXT, description TEXT, contacts JSONB NOT NULL DEFAULT '{}', brand_color VARCHAR(16));
CREATE UNIQUE INDEX organizers_by_slug ON event.organizers (slug);
CREATE TABLE event.events (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), organizer_id UUID NOT NULL
        CONSTRAINT event_of_organizer REFERENCES event.organizers ON DELETE CASCADE,
    type VARCHAR(32) NOT NULL, title VARCHAR(255) NOT NULL, date_start TIMESTAMPTZ NOT NULL,
    date_end TIMESTAMPTZ NOT NULL, location JSONB NOT NULL DEFAULT '{}', price NUMERIC(12,2) NOT NULL DEFAULT 0,
    capacity INTEGER NOT NULL DEFAULT 0, available INTEGER NOT NULL DEFAULT 0,
    status VARCHAR(32) NOT NULL DEFAULT 'DRAFT'
        CHECK (status IN ('DRAFT', 'PUBLISHED', 'COMPLETED', 'CANCELLED')));
CREATE TABLE event.bookings (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), event_id UUID NOT NULL REFERENCES event.events,
    user_id UUID NOT NULL REFERENCES "user".users, status VARCHAR(32) NOT NULL DEFAULT 'PENDING'
        CHECK (status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED', 'COMPLETED', 'NO_SHOW')),
    amount NUMERIC(12,2) NOT NULL DEFAULT 0, payment_status VARCHAR(32) NOT NULL DEFAULT 'PENDING',
    payment_id UUID, expires_at TIMESTAMPTZ, created_by UUID);
CREATE INDEX bookings_of_event ON event.bookings (event_id);
CREATE TABLE event.booking_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), booking_id UUID NOT NULL REFERENCES event.bookings,
    action VARCHAR(64) NOT NULL, old_value JSONB, new_value JSONB, actor_user_id UUID);
CREATE TABLE event.waitlist (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), event_id UUID NOT NULL, user_id UUID NOT NULL,
    priority INTEGER NOT NULL, notified_at TIMESTAMPTZ, notification_expires_at TIMESTAMPTZ);
CREATE TABLE event.favorites (user_id UUID NOT NULL, event_id UUID NOT NULL, PRIMARY KEY (user_id, event_id));
CREATE TABLE event.team_members (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), organizer_id UUID NOT NULL, name VARCHAR(200) NOT NULL,
    role VARCHAR(120), photo_url TEXT, bio TEXT);
CREATE TABLE event.faq_items (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), organizer_id UUID NOT NULL, question TEXT NOT NULL,
    answer TEXT NOT NULL);

CREATE TABLE crew.crews (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), event_id UUID NOT NULL, name VARCHAR(120) NOT NULL,
    type VARCHAR(32) NOT NULL DEFAULT 'CREW', capacity INTEGER NOT NULL);
CREATE TABLE crew.crew_assignments (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), crew_id UUID NOT NULL REFERENCES crew.crews,
    user_id UUID NOT NULL, booking_id UUID NOT NULL, seat_number INTEGER NOT NULL, assigned_by UUID);
CREATE TABLE crew.team_preferences (
    user_id UUID NOT NULL, event_id UUID NOT NULL, prefers_with_user_ids UUID[] NOT NULL DEFAULT '{}',
    avoids_user_ids UUID[] NOT NULL DEFAULT '{}', PRIMARY KEY (user_id, event_id));

CREATE TABLE payment.payments (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), booking_id UUID NOT NULL, method VARCHAR(32) NOT NULL,
    amount NUMERIC(12,2) NOT NULL, currency VARCHAR(3) NOT NULL DEFAULT 'RUB',
    status VARCHAR(32) NOT NULL DEFAULT 'PENDING', provider VARCHAR(32), provider_payment_id VARCHAR(128));
CREATE TABLE payment.payment_receipts (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), payment_id UUID NOT NULL, proof_url TEXT, reviewed_by UUID,
    reviewed_at TIMESTAMPTZ);
CREATE TABLE payment.webhook_events (
    idempotency_key VARCHAR(255) PRIMARY KEY, provider VARCHAR(32) NOT NULL,
    raw_payload JSONB NOT NULL DEFAULT '{}', status VARCHAR(32) NOT NULL DEFAULT 'PENDING',
    processed_at TIMESTAMPTZ);

CREATE TABLE notification.notification_prefs (
    user_id UUID NOT NULL, category VARCHAR(32) NOT NULL, channel VARCHAR(32) NOT NULL,
    enabled BOOLEAN NOT NULL DEFAULT true, PRIMARY KEY (user_id, category, channel));
CREATE TABLE notification.telegram_subscriptions (
    user_id UUID PRIMARY KEY, telegram_username VARCHAR(64), telegram_chat_id BIGINT, verified_at TIMESTAMPTZ);
CREATE TABLE notification.outbox (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id UUID NOT NULL, category VARCHAR(32) NOT NULL,
    payload JSONB NOT NULL DEFAULT '{}', status VARCHAR(32) NOT NULL DEFAULT 'PENDING',
    attempts INTEGER NOT NULL DEFAULT 0, sent_at TIMESTAMPTZ);

CREATE TABLE media.files (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), owner_type VARCHAR(32) NOT NULL, owner_id UUID NOT NULL,
    file_key VARCHAR(255) NOT NULL, content_type VARCHAR(127) NOT NULL, size_bytes BIGINT NOT NULL,
    storage_url TEXT, expires_at TIMESTAMPTZ);

-- 40 people, 2 organizers, 4 events of 12 seats; on each event 8 confirmed, 1 pending, 1 expired, 1 waiting.
INSERT INTO "user".users (username, role) SELECT 'person ' || n, 'USER' FROM generate_series(1, 40) n;
INSERT INTO "user".users (username, role, password_hash) VALUES ('boss', 'ADMIN', 'pbkdf2:of:another:service');
INSERT INTO "user".profiles (user_id, phone) SELECT id, '+7900' || row_number() OVER () FROM "user".users;
INSERT INTO "user".refresh_sessions (user_id, expires_at) SELECT id, now() FROM "user".users LIMIT 5;
INSERT INTO "user".recovery_codes (user_id, code_hash, expires_at)
    SELECT id, 'hash', now() + interval '1 day' FROM "user".users LIMIT 5;
INSERT INTO "user".audit_log (action, target_type, target_id) SELECT 'made', 'user', id FROM "user".users LIMIT 5;
INSERT INTO event.organizers (slug, name) VALUES ('first', 'First'), ('second', 'Second');
INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price, capacity, available, status)
    SELECT o.id, 'hike', 'Walk ' || n, now() + interval '5 days', now() + interval '6 days', 1000, 12, 3, 'PUBLISHED'
    FROM event.organizers o, generate_series(1, 2) n;
INSERT INTO event.bookings (event_id, user_id, status, amount, payment_status)
    SELECT e.id, u.id, CASE WHEN u.n <= 8 THEN 'CONFIRMED' WHEN u.n = 9 THEN 'PENDING' ELSE 'EXPIRED' END, 1000,
        CASE WHEN u.n <= 8 THEN 'SUCCEEDED' ELSE 'PENDING' END
    FROM event.events e, (SELECT id, row_number() OVER () AS n FROM "user".users) u WHERE u.n <= 10;
INSERT INTO event.booking_logs (booking_id, action, new_value)
    SELECT id, 'booking_created', '{"status": "PENDING"}' FROM event.bookings;
INSERT INTO event.booking_logs (booking_id, action, old_value, new_value)
    SELECT id, 'ended', '{"status": "PENDING"}', jsonb_build_object('status', status) FROM event.bookings
    WHERE status <> 'PENDING';
INSERT INTO event.waitlist (event_id, user_id, priority)
    SELECT e.id, (SELECT id FROM "user".users WHERE username = 'person 20'), 1 FROM event.events e;
INSERT INTO event.favorites (user_id, event_id)
    SELECT u.id, e.id FROM "user".users u, event.events e WHERE u.username = 'person 30';
INSERT INTO event.team_members (organizer_id, name) SELECT id, 'Guide' FROM event.organizers;
INSERT INTO event.faq_items (organizer_id, question, answer) SELECT id, 'Rain?', 'Yes.' FROM event.organizers;
INSERT INTO crew.crews (event_id, name, type, capacity)
    SELECT id, t, t, 8 FROM event.events, unnest(ARRAY['CREW', 'TENT']) t;
INSERT INTO crew.crew_assignments (crew_id, user_id, booking_id, seat_number)
    SELECT c.id, b.user_id, b.id, row_number() OVER (PARTITION BY c.id)
    FROM crew.crews c JOIN event.bookings b ON b.event_id = c.event_id AND b.status = 'CONFIRMED';
INSERT INTO crew.team_preferences (user_id, event_id, avoids_user_ids)
    SELECT user_id, event_id, ARRAY[user_id] FROM event.bookings;
INSERT INTO payment.payments (booking_id, method, amount, status)
    SELECT id, 'QR_MANUAL', 1000, 'SUCCEEDED' FROM event.bookings
    WHERE status = 'CONFIRMED';
UPDATE event.bookings b SET payment_id = p.id FROM payment.payments p WHERE p.booking_id = b.id;
INSERT INTO payment.payment_receipts (payment_id, proof_url, reviewed_at)
    SELECT id, 'https://files.example/' || id, now() FROM payment.payments;
INSERT INTO payment.webhook_events (idempotency_key, provider, status, processed_at)
    SELECT 'key ' || n, 'yookassa', 'PROCESSED', now() FROM generate_series(1, 9) n;
INSERT INTO notification.notification_prefs (user_id, category, channel)
    SELECT id, 'EVENT_NEWS', 'EMAIL' FROM "user".users;
INSERT INTO notification.telegram_subscriptions (user_id, telegram_chat_id)
    SELECT id, row_number() OVER () FROM "user".users;
INSERT INTO notification.outbox (user_id, category, status, sent_at)
    SELECT id, 'BOOKING_CONFIRMED', 'SENT', now() FROM "user".users;
INSERT INTO notification.outbox (user_id, category, status)
    SELECT id, 'EVENT_NEWS', s FROM "user".users, unnest(ARRAY['SENDING', 'FAILED', 'SKIPPED', 'PENDING']) s LIMIT 20;
INSERT INTO media.files (owner_type, owner_id, file_key, content_type, size_bytes)
    SELECT 'ORGANIZER', id, 'logos/' || slug || '.png', 'image/png', 10 FROM event.organizers;
