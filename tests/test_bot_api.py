"""The stand-in answers as Telegram's Bot API does."""

import json

import httpx
import pytest

from console.embedded.bot_api import BotApi


def send(api, chat_id=7, text="Hello", **more):
    return httpx.post(f"{api.url}/bot1:token/sendMessage", json={"chat_id": chat_id, "text": text, **more})


def test_a_message_is_answered_recorded_and_listed(tmp_path):
    record = tmp_path / "messages.jsonl"
    with BotApi(record=record) as api:
        answer = send(api, text="Место подтверждено", parse_mode="HTML")
        assert answer.json()["ok"] is True
        assert answer.json()["result"]["chat"]["id"] == 7
        (listed,) = httpx.get(f"{api.url}/messages").json()
    (line,) = record.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == listed
    assert (listed["text"], listed["parameters"]["parse_mode"]) == ("Место подтверждено", "HTML")


def test_a_form_is_understood_as_json_is(bot_api):
    answer = httpx.post(f"{bot_api.url}/bot1:token/sendMessage", data={"chat_id": "7", "text": "Hello"})
    assert answer.json()["result"]["chat"]["id"] == 7


@pytest.mark.parametrize(
    ("mode", "status", "description"),
    [
        ("blocked", 403, "Forbidden: bot was blocked by the user"),
        ("chat_not_found", 400, "Bad Request: chat not found"),
        ("cannot_parse", 400, "Bad Request: can't parse entities: Unsupported start tag"),
        ("error", 502, "Bad Gateway"),
    ],
)
def test_failures_have_the_words_of_the_real_one(bot_api, mode, status, description):
    bot_api.behave(mode)
    answer = send(bot_api)
    assert answer.status_code == answer.json()["error_code"] == status
    assert answer.json()["description"] == description
    assert bot_api.messages == []


def test_a_flood_says_how_long_to_wait_and_passes(bot_api):
    bot_api.behave("flood", retry_after=3, times=1)
    assert send(bot_api).json()["parameters"] == {"retry_after": 3}
    assert send(bot_api).status_code == 200


def test_one_bad_chat_does_not_fail_the_others(bot_api):
    bot_api.behave("blocked", chat_id=13)
    assert send(bot_api, chat_id=13).status_code == 403
    assert send(bot_api, chat_id=14).status_code == 200


def test_a_reset_after_accepting_keeps_the_message(bot_api):
    bot_api.behave("reset_after_accept", times=1)
    with pytest.raises(httpx.TransportError):
        send(bot_api)
    assert len(bot_api.messages) == 1


def test_a_hang_lasts_longer_than_a_client_waits(bot_api):
    bot_api.behave("hang")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{bot_api.url}/bot1:token/sendMessage", json={"chat_id": 1, "text": "x"}, timeout=0.3)
    assert bot_api.messages == []


def test_a_proxy_answers_in_html(bot_api):
    bot_api.behave("html")
    assert send(bot_api).headers["content-type"] == "text/html"


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ({"chat_id": 1, "text": " "}, "Bad Request: message text is empty"),
        ({"text": "x"}, "Bad Request: chat_id is empty"),
        ({"chat_id": 1, "text": "x" * 4097}, "Bad Request: message is too long"),
    ],
)
def test_what_the_real_one_refuses_is_refused(bot_api, body, description):
    answer = httpx.post(f"{bot_api.url}/bot1:token/sendMessage", json=body)
    assert (answer.status_code, answer.json()["description"]) == (400, description)


def test_behaviour_is_set_over_http_too(bot_api):
    assert httpx.post(f"{bot_api.url}/behave", json={"mode": "blocked"}).status_code == 200
    assert send(bot_api).status_code == 403
    assert httpx.post(f"{bot_api.url}/behave", json={"mode": "nonsense"}).status_code == 400
