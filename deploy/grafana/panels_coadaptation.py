"""The dashboard that asks whether the policy exploits its model."""

from panel import m, p95, panel, rate

TITLE = 'Tandem: does the policy exploit its model?'
DESCRIPTION = ('From the verdict down to its causes. Threshold lines are those of the defaults (monitor.warning 0.1, '
               'monitor.tolerance 0.2); docs/metrics.md describes every figure.')

ANNOTATIONS = [
    ('Action', 'orange', f'changes({m("tandem_mitigation_actions_total")}[1m]) > 0', '{{knob}} {{direction}}'),
    ('Refit', 'blue', f'changes({m("tandem_model_trainer_fits_total")}[1m]) > 0', 'a new model'),
]

GAP = ('green', (0.1, 'yellow'), (0.2, 'red'))
BOTH_SIGNS = ('red', (-0.2, 'green'), (0.1, 'yellow'), (0.2, 'red'))

VERDICT = [
    panel('Verdict', 'The verdict in force.', 'none', (f'{m("tandem_coadaptation_verdict")} == 1', '{{verdict}}'),
          kind='stat', names=True, width=4,
          alerts=('TandemCoadaptationConfirmed', 'TandemCoadaptationWarning', 'TandemModelPessimismFault',
                  'TandemNoVerdict')),
    panel('Controller', 'The state of the controller.', 'none',
          (f'{m("tandem_controller_state")} == 1', '{{state}}'), kind='stat', names=True, width=4),
    panel('Carried by', 'The signal that carries the verdict.', 'none',
          (f'{m("tandem_coadaptation_signal")} == 1', '{{signal}}'), kind='stat', names=True, width=4),
    panel('Age of the figures', 'Time since the monitor last changed a figure. Old figures are no verdict.', 's',
          (f'time() - {m("tandem_coadaptation_last_update_timestamp_seconds")}', 'age'), kind='stat', width=4,
          lines=('green', (120, 'yellow'), (300, 'red')), alerts=('TandemMonitorStale',)),
    panel('Verdicts over time', 'Which verdict was in force when.', 'none',
          (m('tandem_coadaptation_verdict'), '{{verdict}}'), kind='state-timeline',
          lines=('transparent', (1, 'orange'))),
    panel('Index', 'Imagined beyond real return, estimated from single fresh steps, as a share of the return '
          'scale. Above 0 the model is too kind.', 'percentunit',
          (m('tandem_coadaptation_index_ratio'), 'index'), lines=BOTH_SIGNS, alerts=('TandemMetricNaN',)),
    panel('Evidence', 'Evidence that a gap exceeds the tolerance, and the threshold that bounds false alarms. '
          'Powers of ten.', 'none',
          (m('tandem_coadaptation_evidence_log10'), 'evidence'),
          (m('tandem_coadaptation_evidence_threshold_log10'), 'threshold'),
          (m('tandem_coadaptation_evidence_negative_log10'), 'evidence of the opposite'),
          alerts=('TandemCoadaptationConfirmed', 'TandemModelPessimismFault')),
    panel('Clipped values', 'Share of values clipped below before they became evidence. Where it is large, the bound '
          'on false alarms is about the clipped values.', 'percentunit',
          (m('tandem_coadaptation_evidence_clipped_ratio'), 'share')),
    panel('Warning score', 'How unusual the newest checkpoint is: the share of the early figures above the run\'s own '
          'healthy ones or, if larger, the largest signal over the tolerance.',
          'percentunit', (m('tandem_coadaptation_warning_score_ratio'), 'score'),
          alerts=('TandemCoadaptationWarning',)),
]

RETURNS = [
    panel('Real and imagined return', 'Mean return of real episodes, and of model rollouts from the same start '
          'states.', 'none', (m('tandem_real_return'), 'real'), (m('tandem_model_return'), 'imagined'),
          (m('tandem_replay_evaluation_return'), 'evaluation')),
    panel('Gap by horizon', 'Imagined minus real return from the same real states over so many steps, as a share of '
          'the return scale. Where the curves part tells which rollout length is still safe.', 'percentunit',
          (m('tandem_return_gap_ratio'), '{{horizon}}'), lines=GAP, alerts=('TandemCoadaptationConfirmed',)),
    panel('Bias of the critic', 'Value minus the return that came, as a share of the return scale.', 'percentunit',
          (m('tandem_value_bias_ratio'), 'bias'), lines=('red', (-0.2, 'green'), (0.2, 'red'))),
    panel('Does the model rank policies?', 'Rank correlation of imagined and real return over the last policies. '
          'Below 0.3 it does not.', 'none',
          (m('tandem_model_return_rank_correlation_ratio'), 'rank correlation'),
          lines=('red', (0.3, 'green'))),
    panel('Return scale', 'Best mean real return minus the first: the unit of all shares here.', 'none',
          (m('tandem_return_scale'), 'scale')),
    panel('Steps', 'Environment steps of the run: what the time axis means in experience.', 'short',
          (m('tandem_replay_env_steps'), 'steps')),
]

ATTRIBUTION = [
    panel('Where the model is too kind', 'Parts of the index; they add up to it. The largest picks the knob.',
          'percentunit', (m('tandem_model_backup_bias_ratio'), '{{quantity}}'), lines=BOTH_SIGNS),
    panel('Model or critic?', 'The index against the critic\'s residual: beyond 0.5 either way the index does not '
          'count.', 'percentunit', (m('tandem_coadaptation_index_ratio'), 'model (index)'),
          (m('tandem_critic_residual_ratio'), 'critic (residual)'), lines=('red', (-0.5, 'green'), (0.5, 'red'))),
    panel('Can the ensemble see its error?', 'Rank correlation of disagreement and error on fresh steps. Above 0.3 '
          'pessimism works, below 0.1 it is blind.', 'none',
          (m('tandem_uncertainty_error_rank_correlation_ratio'), 'visibility'),
          lines=('red', (0.1, 'yellow'), (0.3, 'green'))),
    panel('Range of imagined rewards', '1 + how far the 99 % quantile of imagined rewards lies above that of real '
          'ones, in ranges of the real ones. Above 1.5 the model promises what was never seen.', 'none',
          (m('tandem_predicted_reward_range_ratio'), 'range'), lines=('green', (1.5, 'red'))),
]

MODEL = [
    panel('Likelihood', 'Negative log likelihood a dimension. The distance of the splits matters; no alarm by '
          'itself.', 'none', (m('tandem_model_nll_nats'), '{{split}}')),
    panel('One-step error', 'Root mean squared, in standard deviations of each output; 1 is no better than the '
          'mean.', 'none', (m('tandem_model_error_ratio'), '{{split}}'), lines=('green', (1, 'red'))),
    panel('On-policy over held-out error', 'Above 1.5 the policy goes where the model is worse.', 'none',
          (m('tandem_model_error_onpolicy_per_heldout_ratio'), 'ratio'),
          lines=('green', (1.5, 'yellow'), (2.5, 'red')), alerts=('TandemCoadaptationWarning',)),
    panel('Open-loop error by horizon', 'Error of the model run on real actions, in standard deviations. Above 1 it '
          'predicts noise.', 'none', (m('tandem_model_openloop_error_ratio'), '{{horizon}} steps'),
          lines=('green', (0.5, 'yellow'), (1, 'red'))),
    panel('Coverage of 90 % intervals', 'Share of outcomes within the model\'s central 90 % interval. Below 0.8 it is '
          'wrong and sure of it.', 'percentunit', (m('tandem_model_interval_coverage_ratio'), '{{split}}'),
          lines=('red', (0.8, 'green'))),
    panel('Calibration error', 'Distance of predicted and observed quantiles.', 'none',
          (m('tandem_model_calibration_error_ratio'), '{{split}}')),
    panel('CRPS', 'Continuous ranked probability score, in standard deviations; lower is better.', 'none',
          (m('tandem_model_crps_ratio'), '{{split}}')),
    panel('Disagreement', 'Of the members on imagined and on real states.', 'none',
          (m('tandem_ensemble_disagreement_ratio'), '{{split}}')),
    panel('Error gained for each nat', 'Slope of the on-policy error over the policy\'s shift.', 'none',
          (m('tandem_model_error_increase_per_nat'), 'slope')),
]

OCCUPANCY = [
    panel('Imagined against real states', 'AUC of a classifier between them; 0.5 is alike. High while a policy '
          'improves, too.', 'percentunit', (m('tandem_occupancy_c2st_auc_ratio'), 'AUC'),
          lines=('green', (0.75, 'yellow')), alerts=('TandemCoadaptationWarning',)),
    panel('MMD', 'Distance of imagined and real states over its 95 % permutation quantile. Above 1 it is no '
          'chance.', 'none', (m('tandem_occupancy_mmd_ratio'), 'MMD'), lines=('green', (1, 'yellow'))),
    panel('Effective sample share', 'Of real states reweighted to imagined ones. Below 0.1 imagination is off the '
          'data.', 'percentunit', (m('tandem_density_ratio_ess_ratio'), 'share'), lines=('red', (0.1, 'green'))),
    panel('Policy shift', 'KL of the policy now and at the last fit. Above 0.5 a refit is due.', 'none',
          (m('tandem_policy_shift_nats'), 'nats'), lines=('green', (0.5, 'yellow'))),
    panel('Do the members agree on improvement?', 'Share of members that see the newest policy improve. Below 0.7 '
          'updates learn noise.', 'percentunit', (m('tandem_policy_improvement_agreement_ratio'), 'share'),
          lines=('red', (0.7, 'green'))),
]

KNOBS = [
    panel('Knobs', 'What the controller has set.', 'none', (m('tandem_mitigation_knob_value'), '{{knob}}')),
    panel('Knobs in force', 'What the services say that they do. Where this differs from the knobs asked for, '
          'something did not arrive.', 'none', *((m(f'tandem_{service}_knob_value'), '{{knob}}')
                                      for service in ('policy_trainer', 'model_trainer', 'actor', 'replay')),
          alerts=('TandemMitigationNotAcked',)),
    panel('Actions', 'Turns of knobs within ten minutes.', 'none',
          (f'increase({m("tandem_mitigation_actions_total")}[10m])', '{{knob}} {{direction}}')),
    panel('Acknowledgements', 'What the receivers answered, a second.', 'ops',
          (rate('tandem_directive_acks_total'), '{{service}} {{outcome}}'), alerts=('TandemMitigationNotAcked',)),
    panel('Not acknowledged', 'How long a receiver has owed an answer.', 's',
          (m('tandem_directive_unacknowledged_seconds'), '{{service}}'),
          lines=('green', (30, 'yellow'), (60, 'red')), alerts=('TandemMitigationNotAcked',)),
    panel('Time to apply', 'From a directive\'s arrival to its effect, 95 % quantile.', 's',
          (p95('tandem_directive_apply_duration_seconds'), 'p95')),
    panel('Rollouts cut', 'Share of imagined rollouts cut for uncertainty. Above 0.5 the model distrusts its own '
          'use.', 'percentunit',
          (f'sum by (instance) ({rate("tandem_rollouts_truncated_total")})'
           f' / sum by (instance) ({rate("tandem_rollouts_total")})', 'share'),
          lines=('green', (0.5, 'red'))),
]

FRESHNESS = [
    panel('Policy lag', 'Updates between the policy that acted and the newest, 95 % quantile.', 'none',
          (p95('tandem_policy_lag_updates'), 'updates')),
    panel('Age of the model', 'Training steps since it was fitted.', 'short',
          (m('tandem_model_age_env_steps'), 'steps')),
    panel('Fresh steps', 'Scored and dropped, a second.', 'ops',
          (rate('tandem_fresh_transitions_scored_total'), 'scored'),
          (rate('tandem_fresh_transitions_dropped_total'), 'dropped: {{reason}}'), alerts=('TandemMonitorStale',)),
    panel('Waiting to be scored', 'Fresh steps read and not yet scored.', 'short',
          (m('tandem_monitor_waiting_transitions'), 'steps')),
    panel('Updates for each step', 'Policy updates for each environment step.', 'none',
          (m('tandem_update_to_data_ratio'), 'updates')),
    panel('Real share', 'Share of real rows in the policy\'s batches.', 'percentunit',
          (m('tandem_real_data_share_ratio'), 'share')),
]

JOINT = [
    panel('Log-ratio by depth', 'Mean clipped log-ratio of imagined steps so many steps from a fresh state. Falls with '
          'depth where rollouts leave what the world does.', 'none', (m('tandem_log_ratio_nats'), '{{depth}} steps')),
    panel('Can the classifier tell?', 'Share of held-out real and modelled steps told right: on steps that neither has '
          'seen, and at the last fit. 0.5 is alike.', 'percentunit',
          (m('tandem_classifier_accuracy_ratio'), 'fresh steps'),
          (m('tandem_model_trainer_classifier_accuracy_ratio'), 'held out at the fit')),
    panel('Weight of the log-ratio', 'At objective.weight_max the target divergence is out of reach; at weight_min it '
          'is never exceeded.', 'none', (m('tandem_policy_trainer_ratio_weight'), 'in training'),
          (m('tandem_joint_ratio_weight'), 'of the policy that is judged')),
    panel('Price of an imagined step', 'Mean over the pool, in nats. Times the weight and the length of a path it must '
          'stay well below what the path leads to.', 'none',
          (m('tandem_policy_trainer_divergence_nats'), 'price'),
          (m('tandem_policy_trainer_state_price_nats'), 'of which for the state')),
    panel('Bound and return', 'The lower bound and the logarithm of the return, in nats. A bound above the return: the '
          'classifier is blind to an error that the policy uses.', 'none', (m('tandem_joint_bound_nats'), 'bound'),
          (m('tandem_joint_log_return_nats'), 'log return')),
    panel('Steps of bound and return', 'What both are taken over. Figures of different numbers of steps do not compare.',
          'none', (m('tandem_joint_horizon_env_steps'), 'steps')),
    panel('Clipped log-ratios', 'Share that a bound changed, in the pool and on fresh steps.', 'percentunit',
          (m('tandem_policy_trainer_logit_clipped_ratio'), 'pool, {{bound}}'),
          (m('tandem_log_ratio_clipped_ratio'), 'fresh steps')),
]

ROWS = [('Verdict', VERDICT), ('Real and imagined return', RETURNS), ('Attribution', ATTRIBUTION), ('Model', MODEL),
        ('Where the policy goes', OCCUPANCY), ('Joint objective', JOINT), ('Knobs and actions', KNOBS),
        ('Freshness', FRESHNESS)]
