"""The dashboard that asks whether the services serve: rate, errors and duration of each one's work."""

from panel import m, p95, panel, rate

TITLE = 'Tandem: do the services serve?'
DESCRIPTION = 'The run as a whole, every call by method, and rate, errors and duration of what each service is for.'

ANNOTATIONS = [
    ('Restart', 'red', f'changes({m("process_start_time_seconds")}[1m]) > 0', '{{instance}}'),
]

BAD = ('green', (0.000001, 'red'))


def work(rate_panel, error_panel, duration_panel):
    """The three panels of a service; errors have a line at the first one."""
    return [panel(*rate_panel), panel(*error_panel[0], lines=BAD, alerts=error_panel[1]),
            panel(*duration_panel)]


RUN = [
    panel('Processes', '1 while Prometheus can read the process.', 'none', (m('up'), '{{instance}}'),
          lines=('red', (1, 'green')), alerts=('TandemTargetDown',)),
    panel('Steps', 'Steps stored, a second.', 'ops',
          (f'sum by (instance) ({rate("tandem_replay_steps_total")})', 'steps'), alerts=('TandemRunStalled',)),
    panel('Waiting', 'Share of the time that a side waits for the others. The one that waits least holds up the '
          'run.', 'percentunit', (rate('tandem_replay_wait_seconds_total'), '{{role}}'),
          alerts=('TandemRunStalled',)),
    panel('CPU', 'Busy cores.', 'none', (rate('process_cpu_seconds_total'), '{{instance}}')),
    panel('Memory', 'Held in RAM.', 'bytes', (m('process_resident_memory_bytes'), '{{instance}}')),
    panel('Checkpoints that failed', 'Within ten minutes.', 'none',
          (f'increase({m("tandem_model_trainer_checkpoint_failures_total")}[10m])', 'model trainer'),
          (f'increase({m("tandem_policy_trainer_checkpoint_failures_total")}[10m])', 'policy trainer'),
          (f'increase({m("tandem_monitor_history_failures_total")}[10m])', 'history of the monitor'),
          lines=BAD, alerts=('TandemCheckpointFailing',)),
]

CALLS = [
    panel('Calls', 'Calls answered, a second.', 'reqps',
          (m('instance_method:tandem_rpc_requests:rate5m'), '{{instance}} {{method}}')),
    panel('Calls that failed', 'Share of calls; a stream that its reader ends is none.', 'percentunit',
          (m('instance_method:tandem_rpc_errors_per_requests:ratio_rate5m'), '{{instance}} {{method}}'),
          lines=('green', (0.01, 'red'))),
    panel('Time to answer', '95 % quantile, waiting included: Advance waits on purpose.', 's',
          (m('instance_method:tandem_rpc_request_seconds:p95_rate5m'), '{{instance}} {{method}}')),
]

REPLAY = work(
    ('Appends', 'Appends stored, a second.', 'ops', (rate('tandem_replay_appends_total'), '{{instance}}')),
    (('Appends refused', 'A second, by reason.', 'ops',
      (rate('tandem_replay_rejected_total'), '{{reason}}')), ('TandemReplayRejecting',)),
    ('Time of an append', '95 % quantile.', 's', (p95('tandem_replay_append_seconds'), '{{instance}}')))

MODEL_TRAINER = work(
    ('Fits', 'Fits published, a second.', 'ops', (rate('tandem_model_trainer_fits_total'), '{{instance}}')),
    (('Fits that failed', 'A second.', 'ops', (rate('tandem_model_trainer_fit_failures_total'), '{{instance}}')),
     ('TandemTrainerFailing',)),
    ('Time of a fit', '95 % quantile; in lockstep everyone waits for it.', 's',
     (p95('tandem_model_trainer_fit_seconds'), '{{instance}}')))

POLICY_TRAINER = work(
    ('Updates', 'Policy updates, a second.', 'ops', (rate('tandem_policy_trainer_updates_total'), '{{instance}}')),
    (('Updates that failed', 'A second.', 'ops',
      (rate('tandem_policy_trainer_failed_updates_total'), '{{instance}}')), ('TandemTrainerFailing',)),
    ('Time of an update', '95 % quantile.', 's', (p95('tandem_policy_trainer_update_seconds'), '{{instance}}')))

ACTOR = work(
    ('Environment steps', 'Taken, a second.', 'ops',
     (rate('tandem_actor_env_steps_total'), '{{instance}} {{purpose}}')),
    (('Environments that failed', 'A second, by kind.', 'ops',
      (rate('tandem_actor_environment_faults_total'), '{{instance}} {{kind}}')),
     ('TandemActorDiverging', 'TandemActorEnvironmentUnhealthy')),
    ('Time of a step', '95 % quantile, all environments of an actor at once.', 's',
     (p95('tandem_actor_env_step_seconds'), '{{instance}}')))

MONITOR = work(
    ('Judgements', 'Computations of the figures, a second.', 'ops',
     (rate('tandem_monitor_computation_duration_seconds_count'), '{{instance}}')),
    (('Snapshots that could not be loaded', 'A second, by series.', 'ops',
      (rate('tandem_monitor_snapshot_failures_total'), '{{series}}')), ('TandemMonitorStale',)),
    ('Time of a computation', '95 % quantile.', 's',
     (p95('tandem_monitor_computation_duration_seconds'), '{{instance}}')))

SNAPSHOTS = [
    panel('Versions behind', 'By which the slowest watcher of a series is behind.', 'none',
          (m('tandem_snapshot_watcher_lag_versions'), '{{series}}')),
    panel('Connected', '1 while a watcher is connected to the publisher.', 'none',
          (m('tandem_snapshot_connected'), '{{instance}} {{series}}'), lines=('red', (1, 'green'))),
    panel('Snapshots sent', 'Bytes a second.', 'Bps', (rate('tandem_snapshot_sent_bytes_total'), '{{series}}')),
]

ROWS = [('Run', RUN), ('Calls', CALLS), ('Replay buffer', REPLAY), ('Model trainer', MODEL_TRAINER),
        ('Policy trainer', POLICY_TRAINER), ('Actors', ACTOR), ('Monitor', MONITOR), ('Snapshots', SNAPSHOTS)]
