"""Debian's Prometheus with a rule that fires and then resolves -> tocsin -> a webhook: one call each, bodies complete."""
import http.server
import os
import threading

from harness import *

ALERT_CONFIG = """
route: {receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers:
- name: hook
  webhook_configs: [{url: "%s"}]
"""
PROMETHEUS_CONFIG = """
global: {scrape_interval: 1s, evaluation_interval: 1s, external_labels: {region: test}}
rule_files: [%(rules)s]
alerting:
  alertmanagers: [{static_configs: [{targets: ["127.0.0.1:%(port)d"]}]}]
scrape_configs:
- job_name: target
  scrape_interval: 1s
  static_configs: [{targets: ["127.0.0.1:%(target)d"]}]
"""
RULES = """
groups:
- name: g
  interval: 1s
  rules:
  - {alert: TargetDown, expr: "up == 0", labels: {severity: page}, annotations: {summary: "{{ $labels.instance }} is down"}}
"""


def prometheus_fires_and_resolves_through_to_one_webhook_call_each():
    sink, folder, target = Sink(), scratch(), free_port()
    server = Server(ALERT_CONFIG % sink.url)
    rules = os.path.join(folder, "rules.yml")
    config = os.path.join(folder, "prometheus.yml")
    with open(rules, "w", encoding="utf-8") as f:
        f.write(RULES)
    with open(config, "w", encoding="utf-8") as f:
        f.write(PROMETHEUS_CONFIG % {"rules": rules, "port": server.port, "target": target})
    Process(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{free_port()}", "--rules.alert.resend-delay=1s"], name="prometheus")
    wait_for("the firing call", lambda: sink.bodies(), 60)
    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"up_really 1\n")

        def log_message(self, *_):
            pass

    scraped = http.server.ThreadingHTTPServer(("127.0.0.1", target), Metrics)
    threading.Thread(target=scraped.serve_forever, daemon=True).start()
    wait_for("the resolved call", lambda: len(sink.bodies()) >= 2, 60)
    bodies = sink.bodies()
    assert [b["status"] for b in bodies] == ["firing", "resolved"], [b["status"] for b in bodies]
    fired = bodies[0]
    assert fired["version"] == "4" and fired["receiver"] == "hook", fired
    assert fired["groupKey"] == '{}:{alertname="TargetDown"}', fired["groupKey"]
    assert fired["groupLabels"] == {"alertname": "TargetDown"}
    alert = fired["alerts"][0]
    assert alert["labels"]["region"] == "test" and alert["labels"]["severity"] == "page", alert
    assert alert["annotations"]["summary"].endswith("is down")
    assert alert["generatorURL"].startswith("http") and len(alert["fingerprint"]) == 16
    assert fired["notification_reason"] == "first notification"
    scraped.shutdown()


if __name__ == "__main__":
    main([prometheus_fires_and_resolves_through_to_one_webhook_call_each])
