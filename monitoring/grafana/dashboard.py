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
    """Put the dashboard together, row by row."""
    dashboard = (
        Dashboard("Hand gestures")
        .uid("hand-gesture")
        .description("How the model, the data and the server of the hand-gesture service are doing.")
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
    "Model, data, server: the three that were chosen first": [
        _graph(
            "AdmissionControl latency",
            "Model: the time of one model call, which answers a whole batch. A camera at 30 frames a second has 33 ms "
            "for everything; the model should take less than one of them.",
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
            "Data: points of hands that were absent, null or not finite, in each second. A rise says that a "
            "camera or a client has changed.",
            units.CountsPerSecond,
            _query(f"sum(rate({_select('hand_gesture_missing_landmarks_total')}[$__rate_interval]))", "missing"),
            thresholds=_thresholds(1, 100),
        ),
        _number(
            "Missing landmarks, total",
            "Data: the same points, counted over the time shown.",
            units.Short,
            _query(f"sum(increase({_select('hand_gesture_missing_landmarks_total')}[$__range]))"),
            _thresholds(100, 10_000),
        ),
        _graph(
            "CPU usage",
            "Server: what all processes of the service use; 100 % is one core. Near 100 % for each worker it is "
            "time for another.",
            units.Percent,
            _query(_select("hand_gesture_cpu_usage_percent"), "{{instance}}"),
            thresholds=_thresholds(70, 90),
        ),
    ],
    "Requests": [
        _graph(
            "Requests",
            "Prediction requests, and frames of streams, in each second, by route.",
            units.RequestsPerSecond,
            _query(f"sum by (route) (rate({_select('hand_gesture_requests_total')}[$__rate_interval]))", "{{route}}"),
        ),
        _graph(
            "Errors",
            "Requests that were not answered with 200, by route and status: 4xx are the clients', 5xx the service's.",
            units.RequestsPerSecond,
            _query(
                f"sum by (route, status) (rate({_select('hand_gesture_requests_total', NOT_OK)}[$__rate_interval]))",
                "{{status}} {{route}}",
            ),
            thresholds=_thresholds(1, 10),
        ),
        _graph(
            "Refused, by reason",
            "Requests refused for what they hold.",
            units.RequestsPerSecond,
            _query(
                f"sum by (reason) (rate({_select('hand_gesture_invalid_requests_total')}[$__rate_interval]))",
                "{{reason}}",
            ),
            thresholds=_thresholds(1, 10),
        ),
        _graph(
            "Duration",
            "From the first byte of a request to its answer, waiting for a batch included.",
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
            "Cameras that stream at this moment. A worker takes MAX_STREAMS of them.",
            units.Short,
            _query(_select("hand_gesture_streams"), "{{instance}}"),
        ),
        _graph(
            "Frames",
            "Frames of streams in each second, by status: 200 was answered, 400 was no hand.",
            units.CountsPerSecond,
            _query(
                f"sum by (status) (rate({_select('hand_gesture_requests_total', OF_STREAMS)}[$__rate_interval]))",
                "{{status}}",
            ),
        ),
        _graph(
            "Streams that ended",
            "In each second, by close code: 1000 and 1001 are clients that left, 1006 connections that broke, 1013 "
            "streams for which there was no room; docs/stream.md has the others.",
            units.CountsPerSecond,
            _query(
                f"sum by (code) (rate({_select('hand_gesture_closed_streams_total')}[$__rate_interval]))", "{{code}}"
            ),
        ),
    ],
    "Hands on streams": [
        _graph(
            "Hands in a frame",
            "Frames of streams that were answered in each second, by the number of hands in them. 0 alone: the camera "
            "shows nobody, or the client finds no hands.",
            units.CountsPerSecond,
            _query(
                f"sum by (hands) (rate({_select('hand_gesture_frames_total')}[$__rate_interval]))", "{{hands}} hands"
            ),
        ),
        _graph(
            "Changes of what hands hold",
            "In each second, by the gesture that a hand holds from then on, or none. Many more than players make: "
            "hold_ms is too short, or the model is unsure.",
            units.CountsPerSecond,
            _query(
                f"sum by (gesture) (rate({_select('hand_gesture_changes_total')}[$__rate_interval]))", "{{gesture}}"
            ),
        ),
    ],
    "Replicas and proxy": [
        _graph(
            "Requests and frames of each replica",
            "Answered in each second. One that has far less than the others was started later, or is slow.",
            units.CountsPerSecond,
            _query(
                f"sum by (instance) (rate({_select('hand_gesture_requests_total')}[$__rate_interval]))", "{{instance}}"
            ),
        ),
        _graph(
            "Replicas that the proxy uses",
            "Those whose /readyz answers it; 0: everybody gets an error.",
            units.Short,
            _query(f"min by (proxy) (haproxy_backend_active_servers{{{OF_BACKENDS}}})", "{{proxy}}"),
            thresholds=ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(None, "red"), Threshold(1, "green")]),
        ),
        _graph(
            "Answers through the proxy",
            "In each second, by class of status.",
            units.CountsPerSecond,
            _query(
                f"sum by (code) (rate(haproxy_frontend_http_responses_total{{{OF_PUBLIC}}}[$__rate_interval]))",
                "{{code}}",
            ),
        ),
        _graph(
            "Refused by the proxy, and sent again",
            "In each second: requests of addresses that send too many, that are too large or ask for figures; and "
            "requests that went to another replica because the first had gone.",
            units.CountsPerSecond,
            _query(f"sum(rate(haproxy_frontend_requests_denied_total{{{OF_PUBLIC}}}[$__rate_interval]))", "refused"),
            _query(f"sum(rate(haproxy_backend_retry_warnings_total{{{OF_BACKENDS}}}[$__rate_interval]))", "sent again"),
        ),
    ],
    "Batching": [
        _graph(
            "Hands in a model call",
            "The mean size of a batch: above 1, requests in flight together share model calls.",
            units.Short,
            _query(
                f"sum by (route) (rate({_select('hand_gesture_batch_size_sum')}[$__rate_interval]))"
                f" / sum by (route) (rate({_select('hand_gesture_batch_size_count')}[$__rate_interval]))",
                "{{route}}",
            ),
        ),
        heatmap.Panel()
        .title("Distribution of batch sizes")
        .description("How many model calls had how many hands.")
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
            "Requests being answered at this moment.",
            units.Short,
            _query(_select("hand_gesture_requests_in_flight"), "{{instance}}"),
            thresholds=_thresholds(500, 2000),
        ),
    ],
    "Model": [
        _graph(
            "Gestures",
            "Hands classified in each second. A gesture that takes over may be drift, or a game that asks for it.",
            units.CountsPerSecond,
            _query(
                f"sum by (gesture) (rate({_select('hand_gesture_predictions_total')}[$__rate_interval]))", "{{gesture}}"
            ),
        ),
        _graph(
            "Confidence",
            "The probability that the model gives its answers: the mean, and the value that one in ten stays below.",
            units.PercentUnit,
            _query(
                f"sum(rate({_select('hand_gesture_prediction_confidence_sum')}[$__rate_interval]))"
                f" / sum(rate({_select('hand_gesture_prediction_confidence_count')}[$__rate_interval]))",
                "mean",
            ),
            _query(_quantile(0.1, "hand_gesture_prediction_confidence"), "lowest tenth"),
        ),
        _graph(
            "Hands without a gesture",
            "The share of hands that made none of the gestures, over a quarter of an hour.",
            units.PercentUnit,
            _query(_select("instance:hand_gesture_none:share15m"), "{{instance}}"),
            thresholds=_thresholds(0.8, 0.9),
        ),
        _graph(
            "Distance from the training set's mix",
            "0: gestures as frequent as in training; 1: nothing in common. Of an hour's hands that make one.",
            units.PercentUnit,
            _query(_select("instance:hand_gesture_gesture_mix:distance1h"), "{{instance}}"),
            thresholds=_thresholds(0.85, 0.9),
        ),
        table.Panel()
        .title("Model version")
        .description("Which model answers: its kind, its features, and the digest of its file.")
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
            "Worker processes that are up.",
            units.Short,
            _query(f"sum({_select('hand_gesture_workers')})"),
        ),
        _number(
            "Workers lost",
            "Worker processes that ended by themselves within the time shown, and were replaced.",
            units.Short,
            _query(f"sum(increase({_select('hand_gesture_lost_workers_total')}[$__range]))"),
            _thresholds(1, 3),
        ),
        _number(
            "Instances that answer Prometheus",
            "The share of instances whose last scrape worked.",
            units.PercentUnit,
            _query(f"avg({_select('up', OF_JOB)})"),
            ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(None, "red"), Threshold(1, "green")]),
        ),
        table.Panel()
        .title("Alerts")
        .description("Alerts that fire or are about to; monitoring/README.md says what to do about each.")
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
