#!/usr/bin/python3
"""Writes nett-dashboard.json: the panels are a table here, and Grafana's JSON is mostly repetition.

Usage: make_dashboard.py > nett-dashboard.json
"""

import json

WIDTH, HEIGHT = 8, 7
# Title, unit, queries (legend, expression).
ROWS = [
    ("Boots", [
        ("Boot requests by result", "reqps", [("{{result}}", "sum by (result) (rate(nett_boot_requests_total{instance=~\"$instance\"}[5m]))")]),
        ("Boot requests by tenant", "reqps", [("{{tenant}}", "sum by (tenant) (rate(nett_boot_requests_total{instance=~\"$instance\"}[5m]))")]),
        ("Time to a boot decision", "s", [
            ("median", "histogram_quantile(0.5, sum by (le) (rate(nett_boot_request_seconds_bucket{instance=~\"$instance\"}[5m])))"),
            ("99 %", "histogram_quantile(0.99, sum by (le) (rate(nett_boot_request_seconds_bucket{instance=~\"$instance\"}[5m])))")]),
        ("Handshakes", "reqps", [("{{result}}", "sum by (result) (rate(nett_metadata_handshakes_total{instance=~\"$instance\"}[5m]))")]),
        ("Bytes sent", "Bps", [("{{instance}}", "sum by (instance) (rate(nett_metadata_sent_bytes_total{instance=~\"$instance\"}[5m]))")]),
        ("Connections", "short", [
            ("{{instance}} {{listener}}", "nett_metadata_connections{instance=~\"$instance\"}"),
            ("refused {{how}}", "sum by (how) (rate(nett_metadata_connections_refused_total{instance=~\"$instance\"}[5m]))")])]),
    ("Machines and jobs", [
        ("Machines by state", "short", [("{{state}}", "max by (state) (nett_machines{instance=~\"$instance\"})")]),
        ("Held machines", "short", [("held", "max(nett_machines_held{instance=~\"$instance\"})")]),
        ("Changes of state", "short", [("{{from}} → {{to}}", "sum by (from, to) (increase(nett_machine_transitions_total{instance=~\"$instance\"}[1h]))")]),
        ("Open jobs", "short", [("{{state}}", "sum by (state) (nett_jobs{instance=~\"$instance\"})")]),
        ("Job results", "short", [("{{type}} {{step}}", "sum by (type, step) (increase(nett_job_steps_total{instance=~\"$instance\", step=~\"DONE|FAILED|CANCELLED|NEEDS_OPERATOR\"}[1h]))")]),
        ("Tenants", "short", [("{{instance}}", "nett_tenants{instance=~\"$instance\"}")])]),
    ("Fabric", [
        ("Ports by state of their router advertisement", "short", [("{{instance}} {{state}}", "nett_ra_ports{instance=~\"$instance\"}")]),
        ("Drift repaired", "short", [
            ("{{instance}} {{where}}", "sum by (instance, where) (increase(nett_ra_drift_total{instance=~\"$instance\"}[1h]))"),
            ("{{instance}} {{daemon}}", "sum by (instance, daemon) (increase(nett_frr_repairs_total{instance=~\"$instance\"}[1h]))")]),
        ("FRRouting answers, and is in sync", "short", [
            ("{{instance}} {{daemon}} answers", "nett_frr_connected{instance=~\"$instance\"}"),
            ("{{instance}} {{daemon}} in sync", "nett_frr_in_sync{instance=~\"$instance\"}")]),
        ("Anycast address", "short", [("{{instance}} {{state}}", "nett_anycast_state{instance=~\"$instance\"} == 1")]),
        ("Anycast transitions", "short", [("{{instance}} {{to}}", "sum by (instance, to) (increase(nett_anycast_transitions_total{instance=~\"$instance\"}[1h]))")]),
        ("Days until certificates end", "d", [("{{instance}} {{certificate}}", "(nett_certificate_expiry_timestamp_seconds{instance=~\"$instance\"} - time()) / 86400")])]),
    ("The agent", [
        ("Health: 0 ok, 1 degraded, 2 failed", "short", [("{{instance}} {{component}}/{{condition}}", "nett_health_state{instance=~\"$instance\"} > 0")]),
        ("Commits to the state file, 99 %", "s", [("{{instance}}", "histogram_quantile(0.99, sum by (le, instance) (rate(nett_store_commit_seconds_bucket{instance=~\"$instance\"}[5m])))")]),
        ("Revision", "short", [("{{instance}}", "nett_state_revision{instance=~\"$instance\"}")]),
        ("Events", "short", [("{{component}}", "sum by (component) (rate(nett_events_total{instance=~\"$instance\"}[5m]))")]),
        ("Webhooks", "short", [
            ("{{webhook}} queued", "nett_webhook_queue{instance=~\"$instance\"}"),
            ("{{webhook}} {{result}}", "sum by (webhook, result) (rate(nett_webhook_deliveries_total{instance=~\"$instance\"}[5m]))"),
            ("{{webhook}} dropped", "sum by (webhook) (increase(nett_webhook_dropped_total{instance=~\"$instance\"}[1h]))")]),
        ("Memory", "bytes", [("{{instance}}", "process_resident_memory_bytes{instance=~\"$instance\", job=\"nett\"}")])]),
]


def panel(number, title, unit, queries, x, y):
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": source, "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + i), "datasource": source, "expr": expression, "legendFormat": legend}
                    for i, (legend, expression) in enumerate(queries)],
    }


def dashboard():
    panels, number, y = [], 1, 0
    for title, row in ROWS:
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": []})
        number, y = number + 1, y + 1
        for i, one in enumerate(row):
            panels.append(panel(number, *one, x=i % 3 * WIDTH, y=y + i // 3 * HEIGHT))
            number += 1
        y += (len(row) + 2) // 3 * HEIGHT
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {"name": "instance", "type": "query", "label": "Agent", "multi": True, "includeAll": True, "allValue": ".*", "refresh": 2,
         "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": "label_values(nett_build_info, instance)",
         "current": {"text": "All", "value": "$__all"}}]
    return {"title": "nett", "uid": "nett", "tags": ["nett"], "schemaVersion": 37, "version": 1, "editable": True, "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"}, "templating": {"list": variables}, "annotations": {"list": []}, "panels": panels}


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1, ensure_ascii=False))
