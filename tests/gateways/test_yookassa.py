"""YooKassa signs nothing: it is believed from its own addresses, and read back from its API."""

import base64
import ipaddress
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from yookassa.domain.common.security_helper import SecurityHelper

from console.errors import WebhookRefused
from console.gateways.providers import Outcome, yookassa
from tests.acquirers import yookassa_event

SECRET = "shop:key"


@pytest.mark.parametrize(
    "address", ["185.71.76.1", "185.71.77.31", "77.75.153.127", "77.75.156.11", "77.75.154.200",
                "2a02:5180::7",
                "::ffff:185.71.76.1"],
)  # fmt: skip
def test_yookassa_is_believed_from_its_own_addresses(address: str) -> None:
    assert yookassa.authenticate({}, b"{}", address, SECRET) is None


def test_yookassa_addresses_are_those_of_their_own_library() -> None:
    theirs = [ipaddress.ip_network(network) for network in SecurityHelper.YOOKASSA_NETWORKS]
    for network in theirs:
        for address in (network[0], network[-1]):
            assert SecurityHelper().is_ip_trusted(str(address))
            assert yookassa.authenticate({}, b"{}", str(address), SECRET) is None
    for ours in yookassa.ADDRESSES:
        assert any(ours.version == each.version and each.subnet_of(ours) for each in theirs), ours


@pytest.mark.parametrize("address", ["", "127.0.0.1", "185.71.76.32", "77.75.156.12", "2a02:5181::1", "x"])
def test_yookassa_is_not_believed_from_elsewhere(address: str) -> None:
    with pytest.raises(WebhookRefused):
        yookassa.authenticate({"x-forwarded-for": "185.71.76.1"}, b"{}", address, SECRET)


def test_yookassa_event_is_understood() -> None:
    notice = yookassa.notice(yookassa_event())
    assert (notice.key, notice.provider_payment_id) == ("payment.succeeded:2d1f-000f", "2d1f-000f")
    assert (notice.amount, notice.currency, notice.payment_id) == (1500, "RUB", "p")
    refund = yookassa.notice(yookassa_event("refund.succeeded", payment_id="pay-1"))
    assert (refund.outcome, refund.provider_payment_id) == (Outcome.REFUNDED, "pay-1")


class Api(BaseHTTPRequestHandler):
    answers: dict[str, Any] = {}
    seen: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        status, body = self.answers.get(self.path, (404, {}))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setattr(yookassa, "API", f"http://127.0.0.1:{server.server_port}")
    Api.answers, Api.seen = {}, []
    yield Api
    server.shutdown()
    thread.join()
    server.server_close()


def test_yookassa_says_what_its_api_says(api: type[Api]) -> None:
    told = yookassa_event(amount={"value": "1.00", "currency": "RUB"})
    api.answers["/payments/2d1f-000f"] = (200, yookassa_event()["object"])
    payload = yookassa.confirmed(told, SECRET)
    assert yookassa.notice(payload).amount == 1500
    assert api.seen == [("/payments/2d1f-000f", "Basic " + base64.b64encode(b"shop:key").decode())]


def test_yookassa_refunds_are_read_back_as_refunds(api: type[Api]) -> None:
    told = yookassa_event("refund.succeeded", payment_id="pay-1")
    api.answers["/refunds/2d1f-000f"] = (200, told["object"])
    assert yookassa.confirmed(told, SECRET) == told


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {}), yookassa.NotConfirmed),
        ((200, yookassa_event("payment.pending")["object"]), yookassa.NotConfirmed),
        ((200, {**yookassa_event()["object"], "id": "other"}), yookassa.NotConfirmed),
        ((200, []), yookassa.Unavailable),
        ((500, {}), yookassa.Unavailable),
        ((401, {}), yookassa.Unavailable),
        ((429, {}), yookassa.Unavailable),
        ((200, {"id": "2d1f-000f", "note": "x" * 300_000}), yookassa.Unavailable),
    ],
)
def test_yookassa_that_is_not_confirmed_has_no_effect(
    api: type[Api], answer: tuple[int, Any], error: type[Exception]
) -> None:
    api.answers["/payments/2d1f-000f"] = answer
    with pytest.raises(error):
        yookassa.confirmed(yookassa_event(), SECRET)


def test_yookassa_id_that_is_a_path_is_not_asked_for(api: type[Api]) -> None:
    with pytest.raises(yookassa.NotConfirmed):
        yookassa.confirmed(yookassa_event(id="../me"), SECRET)
    assert api.seen == []


def test_yookassa_that_answers_drop_by_drop_is_given_up(
    api: type[Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yookassa, "DEADLINE_SECONDS", -1.0)
    api.answers["/payments/2d1f-000f"] = (200, yookassa_event()["object"])
    with pytest.raises(yookassa.Unavailable):
        yookassa.confirmed(yookassa_event(), SECRET)
