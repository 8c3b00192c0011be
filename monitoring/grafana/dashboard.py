"""The Grafana dashboard as code: python monitoring/grafana/dashboard.py writes dashboards/hand-gesture.json.

Grafana's own builders (https://github.com/grafana/grafana-foundation-sdk) give the fields of its dashboard schema.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode, VariableRefresh
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

OUTPUT: Final = Path(__file__).parent / "dashboards" / "hand-gesture.json"
PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
ROW_WIDTH: Final = 24
OF_INSTANCE: Final = 'instance=~"$instance"'
NOT_OK: Final = 'status!="200"'
OF_STREAMS: Final = 'route="/stream"'
OF_PUBLIC: Final = 'proxy="public"'
OF_BACKENDS: Final = 'proxy=~"requests|streams"'
OF_JOB: Final = 'job="hand_gesture"'

Panel = heatmap.Panel | stat.Panel | table.Panel | timeseries.Panel


def build() -> Dashboard:
    """Build the dashboard row by row."""
    dashboard = (
        Dashboard("Hand gestures")
        .uid("hand-gesture")
        .description("Model, data and server metrics of the hand-gesture service.")
        .tags(["hand-gesture", "bentoml"])
        .time("now-30m", "now")
        .refresh("10s")
        .annotations([])
        .with_variable(
            QueryVariable("instance")
            .label("Instance")
            .datasource(PROMETHEUS)
            .query("label_values(hand_gesture_workers, instance)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(True)
            .multi(True)
            .all_value(".*")
        )
    )
    number = itertools.count(1)
    for title, panels in ROWS.items():
        dashboard.with_row(Row(title).id(next(number)))
        for panel in panels:
            dashboard.with_panel(panel.id(next(number)).span(ROW_WIDTH // len(panels)).height(8))
    return dashboard


def _select(metric: str, *matchers: str) -> str:
    return f"{metric}{{{','.join([OF_INSTANCE, *matchers])}}}"


def _quantile(quantile: float, metric: str, by: str = "") -> str:
    labels = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({_select(metric + '_bucket')}[$__rate_interval])))"


def _query(expression: str, legend: str = "") -> Dataquery:
    return Dataquery().expr(expression).legend_format(legend).datasource(PROMETHEUS)


def _thresholds(warning: float | None = None, critical: float | None = None) -> ThresholdsConfig:
    steps = [Threshold(None, "green")]
    if warning is not None:
        steps.append(Threshold(warning, "orange"))
    if critical is not None:
        steps.append(Threshold(critical, "red"))
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _graph(
    title: str, description: str, unit: str, *queries: Dataquery, thresholds: ThresholdsConfig | None = None
) -> timeseries.Panel:
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .fill_opacity(10)
        .legend(legend)
        .thresholds(thresholds or _thresholds())
        .targets(list(queries))
    )


def _number(
    title: str, description: str, unit: str, query: Dataquery, thresholds: ThresholdsConfig | None = None
) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .thresholds(thresholds or _thresholds())
        .targets([query])
    )


ROWS: Final[dict[str, list[Panel]]] = {
    "Key metrics: model, data, server": [
        _graph(
            "Inference latency",
            "Model: duration of one model call, which classifies a whole batch. A camera at 30 frames per second has "
            "33 ms per frame; the bundled model takes less than 1 ms.",
            units.Milliseconds,
            *(
                _query(
                    f"1000 * {_quantile(quantile, 'hand_gesture_inference_duration_seconds')}", f"p{quantile * 100:g}"
                )
                for quantile in (0.5, 0.95, 0.99)
            ),
            thresholds=_thresholds(5, 10),
        ),
        _graph(
            "Missing landmarks",
            "Data: landmarks per second that were absent, null or not finite. A rise means that a camera or a client "
            "has changed.",
            units.CountsPerSecond,
            _query(f"sum(rate({_select('hand_gesture_missing_landmarks_total')}[$__rate_interval]))", "missing"),
            thresholds=_thresholds(1, 100),
        ),
        _number(
            "Missing landmarks, total",
            "Data: the same landmarks, summed over the selected time range.",
            units.Short,
            _query(f"sum(increase({_select('hand_gesture_missing_landmarks_total')}[$__range]))"),
            _thresholds(100, 10_000),
        ),
        _graph(
            "CPU usage",
            "Server: CPU usage of all processes of the service; 100 % is one core. Near 100 % per worker, add another.",
            units.Percent,
            _query(_select("hand_gesture_cpu_usage_percent"), "{{instance}}"),
            thresholds=_thresholds(70, 90),
        ),
    ],
    "Requests": [
        _graph(
            "Requests",
            "Prediction requests and stream frames per second, by route.",
            units.RequestsPerSecond,
            _query(f"sum by (route) (rate({_select('hand_gesture_requests_total')}[$__rate_interval]))", "{{route}}"),
        ),
        _graph(
            "Errors",
            "Requests with a status other than 200, by route: 4xx are client errors, 5xx are server errors.",
            units.RequestsPerSecond,
            _query(
                f"sum by (route, status) (rate({_select('hand_gesture_requests_total', NOT_OK)}[$__rate_interval]))",
                "{{status}} {{route}}",
            ),
            thresholds=_thresholds(1, 10),
        ),
        _graph(
            "Rejected requests",
            "Invalid requests per second, by reason; docs/reference.md explains each.",
            units.RequestsPerSecond,
            _query(
                f"sum by (reason) (rate({_select('hand_gesture_invalid_requests_total')}[$__rate_interval]))",
                "{{reason}}",
            ),
            thresholds=_thresholds(1, 10),
        ),
        _graph(
            "Request latency",
            "From the first byte of a request to its response, including the wait for a batch.",
            units.Seconds,
            *(
                _query(
                    _quantile(quantile, "hand_gesture_request_duration_seconds", "route"),
                    f"p{quantile * 100:g} {{{{route}}}}",
                )
                for quantile in (0.5, 0.99)
            ),
            thresholds=_thresholds(0.05, 0.1),
        ),
    ],
    "Streams": [
        _graph(
            "Open streams",
            "Streams open now. A worker accepts at most MAX_STREAMS.",
            units.Short,
            _query(_select("hand_gesture_streams"), "{{instance}}"),
        ),
        _graph(
            "Frames",
            "Stream frames per second, by status: 200 classified, 400 invalid, 503 and 504 overload.",
            units.CountsPerSecond,
            _query(
                f"sum by (status) (rate({_select('hand_gesture_requests_total', OF_STREAMS)}[$__rate_interval]))",
                "{{status}}",
            ),
        ),
        _graph(
            "Closed streams",
            "Streams closed per second, by close code: 1000 and 1001, the client left or was idle; 1006, the "
            "connection broke; 1013, over the limit. docs/stream.md lists all codes.",
            units.CountsPerSecond,
            _query(
                f"sum by (code) (rate({_select('hand_gesture_closed_streams_total')}[$__rate_interval]))", "{{code}}"
            ),
        ),
    ],
    "Hands on streams": [
        _graph(
            "Hands per frame",
            "Classified stream frames per second, by their number of hands. Only 0: nobody is in front of the camera, "
            "or the client detects no hands.",
            units.CountsPerSecond,
            _query(
                f"sum by (hands) (rate({_select('hand_gesture_frames_total')}[$__rate_interval]))", "{{hands}} hands"
            ),
        ),
        _graph(
            "Changes of the held gesture",
            "Changes per second, by the new held gesture. Many more than players make: hold_ms is too short, or the "
            "model is unsure.",
            units.CountsPerSecond,
            _query(
                f"sum by (gesture) (rate({_select('hand_gesture_changes_total')}[$__rate_interval]))", "{{gesture}}"
            ),
        ),
    ],
    "Replicas and proxy": [
        _graph(
            "Requests and frames per replica",
            "Responses per second. A replica with far fewer than the others started later or is slow.",
            units.CountsPerSecond,
            _query(
                f"sum by (instance) (rate({_select('hand_gesture_requests_total')}[$__rate_interval]))", "{{instance}}"
            ),
        ),
        _graph(
            "Healthy replicas",
            "Replicas whose /readyz check passes at the proxy. At 0 every request fails.",
            units.Short,
            _query(f"min by (proxy) (haproxy_backend_active_servers{{{OF_BACKENDS}}})", "{{proxy}}"),
            thresholds=ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(None, "red"), Threshold(1, "green")]),
        ),
        _graph(
            "Responses of the proxy",
            "Responses per second, by status class.",
            units.CountsPerSecond,
            _query(
                f"sum by (code) (rate(haproxy_frontend_http_responses_total{{{OF_PUBLIC}}}[$__rate_interval]))",
                "{{code}}",
            ),
        ),
        _graph(
            "Rejected and retried by the proxy",
            "Requests per second that the proxy rejected (rate limit, body size, /metrics), and retries on another "
            "replica after the first one failed.",
            units.CountsPerSecond,
            _query(f"sum(rate(haproxy_frontend_requests_denied_total{{{OF_PUBLIC}}}[$__rate_interval]))", "rejected"),
            _query(f"sum(rate(haproxy_backend_retry_warnings_total{{{OF_BACKENDS}}}[$__rate_interval]))", "retried"),
        ),
    ],
    "Batching": [
        _graph(
            "Mean batch size",
            "Hands per model call. Above 1, concurrent requests share model calls.",
            units.Short,
            _query(
                f"sum by (route) (rate({_select('hand_gesture_batch_size_sum')}[$__rate_interval]))"
                f" / sum by (route) (rate({_select('hand_gesture_batch_size_count')}[$__rate_interval]))",
                "{{route}}",
            ),
        ),
        heatmap.Panel()
        .title("Distribution of batch sizes")
        .description("Number of model calls by batch size.")
        .datasource(PROMETHEUS)
        .unit(units.Short)
        .thresholds(_thresholds())
        .targets(
            [
                _query(
                    f"sum by (le) (increase({_select('hand_gesture_batch_size_bucket')}[$__rate_interval]))", "{{le}}"
                ).format(PromQueryFormat.HEATMAP)
            ]
        ),
        _graph(
            "In flight",
            "Requests being processed now.",
            units.Short,
            _query(_select("hand_gesture_requests_in_flight"), "{{instance}}"),
            thresholds=_thresholds(500, 2000),
        ),
    ],
    "Model": [
        _graph(
            "Gestures",
            "Hands classified per second, by gesture. If one gesture dominates, either a game asks for it or the data "
            "has drifted.",
            units.CountsPerSecond,
            _query(
                f"sum by (gesture) (rate({_select('hand_gesture_predictions_total')}[$__rate_interval]))", "{{gesture}}"
            ),
        ),
        _graph(
            "Confidence",
            "Probability of the predicted class: mean and 10th percentile.",
            units.PercentUnit,
            _query(
                f"sum(rate({_select('hand_gesture_prediction_confidence_sum')}[$__rate_interval]))"
                f" / sum(rate({_select('hand_gesture_prediction_confidence_count')}[$__rate_interval]))",
                "mean",
            ),
            _query(_quantile(0.1, "hand_gesture_prediction_confidence"), "p10"),
        ),
        _graph(
            "Hands without a gesture",
            "Share of hands classified as none, over 15 minutes.",
            units.PercentUnit,
            _query(_select("instance:hand_gesture_none:share15m"), "{{instance}}"),
            thresholds=_thresholds(0.8, 0.9),
        ),
        _graph(
            "Gesture drift",
            "Total variation distance between the gestures of the last hour and the training data, without none. 0: "
            "the same distribution; 1: no overlap.",
            units.PercentUnit,
            _query(_select("instance:hand_gesture_gesture_mix:distance1h"), "{{instance}}"),
            thresholds=_thresholds(0.85, 0.9),
        ),
        table.Panel()
        .title("Model version")
        .description("The served model: classifier, features, and the digest of its file.")
        .datasource(PROMETHEUS)
        .unit(units.Short)
        .thresholds(_thresholds())
        .targets([_query(_select("hand_gesture_model_info")).format(PromQueryFormat.TABLE).instant()]),
    ],
    "Resources and alerts": [
        _graph(
            "Memory",
            "Resident memory of all processes of the service.",
            units.BytesIEC,
            _query(_select("hand_gesture_memory_bytes"), "{{instance}}"),
            thresholds=_thresholds(600e6, 900e6),
        ),
        _number(
            "Workers",
            "Running worker processes.",
            units.Short,
            _query(f"sum({_select('hand_gesture_workers')})"),
        ),
        _number(
            "Worker crashes",
            "Worker processes that exited unexpectedly in the selected time range, and were replaced.",
            units.Short,
            _query(f"sum(increase({_select('hand_gesture_lost_workers_total')}[$__range]))"),
            _thresholds(1, 3),
        ),
        _number(
            "Instances up",
            "Share of instances whose last scrape succeeded.",
            units.PercentUnit,
            _query(f"avg({_select('up', OF_JOB)})"),
            ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(None, "red"), Threshold(1, "green")]),
        ),
        table.Panel()
        .title("Alerts")
        .description("Firing and pending alerts; monitoring/README.md says what to do about each.")
        .datasource(PROMETHEUS)
        .unit(units.Short)
        .thresholds(_thresholds())
        .no_value("none")
        .targets([_query('ALERTS{alertname=~"HandGesture.*"}').format(PromQueryFormat.TABLE).instant()]),
    ],
}


def render() -> str:
    """The dashboard as JSON."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(render())
    print(f"wrote {OUTPUT}")
