"""What the API says of an alert is so at that moment: silences and inhibition are asked, not remembered."""
from harness import *

CONFIG = """
route: {receiver: none, group_wait: 1h, group_interval: 1h}
receivers: [{name: none}]
inhibit_rules:
- {source_matchers: [kind="source"], target_matchers: [kind="target"], equal: [zone]}
"""


def state_of(port, name):
    """(state, silencedBy, inhibitedBy) of the one alert of that name, by both endpoints."""
    listed = [a for a in get_json(port, "/api/v2/alerts") if a["labels"]["alertname"] == name]
    grouped = [a for g in get_json(port, "/api/v2/alerts/groups") for a in g["alerts"] if a["labels"]["alertname"] == name]
    states = [(a["status"]["state"], a["status"]["silencedBy"], a["status"]["inhibitedBy"]) for a in listed + grouped]
    assert len(listed) == len(grouped) == 1 and states[0] == states[1], states
    return states[0]


def a_silence_shows_in_the_next_answer_and_so_does_its_end():
    server = Server(CONFIG)
    post_alerts(server.port, alert("A", {"zone": "x"}))
    assert state_of(server.port, "A") == ("active", [], [])
    for i in range(20):
        silence_id = post_silence(server.port, silence({"zone": "x"}, ends=time.time() + 3600))
        assert state_of(server.port, "A") == ("suppressed", [silence_id], []), i
        assert call(server.port, "DELETE", "/api/v2/silence/" + silence_id)[0] == 200
        assert state_of(server.port, "A") == ("active", [], []), i


def a_silence_that_starts_or_ends_by_the_clock_shows_at_its_time():
    server = Server(CONFIG)
    post_alerts(server.port, alert("A", {"zone": "x"}))
    begins, ends = time.time() + 1.5, time.time() + 3
    silence_id = post_silence(server.port, silence({"zone": "x"}, starts=begins, ends=ends))
    while time.time() < ends + 0.5:
        asked = time.time()
        state = get_json(server.port, "/api/v2/alerts")[0]["status"]["state"]
        answered = time.time()
        if answered < begins - 0.01 or asked > ends + 0.01:
            assert state == "active", (asked - begins, silence_id)
        if asked > begins + 0.01 and answered < ends - 0.01:
            assert state == "suppressed", (asked - begins, silence_id)


def inhibition_shows_in_the_next_answer_and_so_does_its_end():
    server = Server(CONFIG)
    post_alerts(server.port, alert("Target", {"kind": "target", "zone": "x"}))
    for i in range(20):
        post_alerts(server.port, alert("Source", {"kind": "source", "zone": "x"}))
        state, silenced, inhibited = state_of(server.port, "Target")
        assert state == "suppressed" and len(inhibited) == 1 and not silenced, i
        post_alerts(server.port, alert("Source", {"kind": "source", "zone": "x"}, ends=time.time() - 1))
        assert state_of(server.port, "Target") == ("active", [], []), i
    # One that matches, but in another zone, and a target that comes after its source.
    post_alerts(server.port, alert("Source", {"kind": "source", "zone": "y"}), alert("Late", {"kind": "target", "zone": "y"}))
    assert state_of(server.port, "Target")[0] == "active" and state_of(server.port, "Late")[0] == "suppressed"


def a_reload_that_drops_the_rule_or_brings_it_shows_when_it_is_answered():
    server = Server(CONFIG)
    post_alerts(server.port, alert("Source", {"kind": "source", "zone": "x"}), alert("Target", {"kind": "target", "zone": "x"}))
    for text, expected in ((CONFIG.partition("inhibit_rules")[0], "active"), (CONFIG, "suppressed")):
        with open(server.config_path, "w", encoding="utf-8") as f:
            f.write(text)
        assert call(server.port, "POST", "/-/reload")[0] == 200
        assert state_of(server.port, "Target")[0] == expected


if __name__ == "__main__":
    main([a_silence_shows_in_the_next_answer_and_so_does_its_end, a_silence_that_starts_or_ends_by_the_clock_shows_at_its_time,
          inhibition_shows_in_the_next_answer_and_so_does_its_end,
          a_reload_that_drops_the_rule_or_brings_it_shows_when_it_is_answered])
