"""The README's first request and its tables are what the service does."""

from __future__ import annotations

import json
import re

from hand_gesture.settings import Settings
from tests.server import PROJECT, Server

README = (PROJECT / "README.md").read_text()


def test_first_request_gets_the_reply_shown(server: Server) -> None:
    request = re.search(r"curl .*? --data '(.*?)'", README, re.DOTALL)
    reply = re.search(r"```json\n(.*?)\n```", README)
    assert request
    assert reply
    assert server.client.post("/predict", json=json.loads(request[1])).json() == json.loads(reply[1])


def test_settings_table_has_every_setting_and_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S*) ?\|", README, re.MULTILINE))
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        default = ",".join(default) if isinstance(default, list) else f"{default}"
        assert rows[name.upper()].strip("`").removesuffix(".0") == default.removesuffix(".0")
    assert len(rows) == len(Settings.model_fields)


def test_every_metric_is_described(server: Server) -> None:
    families = re.findall(r"^# TYPE (\S+)", server.client.get("/metrics").text, re.MULTILINE)
    assert families
    assert [family for family in families if family not in README] == []
