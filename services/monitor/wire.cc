#include "services/monitor/wire.h"

#include <cmath>

#include "common/base/status_macros.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using coadaptation::CheckpointField;

void EncodeFigures(const Checkpoint& checkpoint, v1::GetReportResponse* response) {
  response->set_index(checkpoint.index);
  response->set_index_reward(checkpoint.index_reward);
  response->set_index_dynamics(checkpoint.index_dynamics);
  response->set_index_termination(checkpoint.index_termination);
  response->set_residual(checkpoint.residual);
  response->set_model_return(checkpoint.model_return);
  response->set_real_return(checkpoint.real_return);
  response->set_return_gap(checkpoint.gap_episode);
  response->set_return_scale(checkpoint.return_scale);
  response->set_model_error_ratio(checkpoint.error_ratio);
  response->set_model_error_fresh(checkpoint.error_onpolicy);
  response->set_model_error_heldout(checkpoint.error_heldout);
  response->set_policy_lag_updates(checkpoint.policy_lag);
  for (const CheckpointField& field : coadaptation::CheckpointFields()) {
    (*response->mutable_figures())[field.name] = checkpoint.*field.member;
  }
}

void Encode(const HistoryCheckpoint& entry, v1::HistoryCheckpoint* message) {
  for (const CheckpointField& field : coadaptation::CheckpointFields()) {
    const double value = entry.checkpoint.*field.member;
    if (!std::isnan(value)) (*message->mutable_figures())[field.name] = value;
  }
  message->set_verdict(static_cast<v1::Verdict>(entry.judgement.verdict));
  message->set_evidence_log10(coadaptation::EvidenceLog10(entry.judgement.evidence));
}

void Encode(const HistoryEvent& event, v1::HistoryEvent* message) {
  message->set_wall_seconds(event.wall_seconds);
  message->set_env_steps(std::isfinite(event.env_steps) ? static_cast<int64_t>(event.env_steps)
                                                        : 0);
  message->set_kind(event.kind);
  message->set_text(event.text);
  if (event.knob) message->set_knob(static_cast<v1::Knob>(*event.knob));
  message->set_before(event.before);
  message->set_after(event.after);
}

}  // namespace

void Encode(const Report& run, const JudgeReport& judged, v1::GetReportResponse* response) {
  response->set_verdict(static_cast<v1::Verdict>(judged.judgement.verdict));
  response->set_sentence(judged.judgement.sentence);
  response->set_signal(judged.judgement.signal);
  EncodeFigures(judged.checkpoint, response);
  response->set_fresh_steps_scored(run.fresh_steps_scored);
  response->set_fresh_steps_dropped(run.fresh_steps_dropped);
  response->set_model_version(run.model_version);
  response->set_policy_version(run.policy_version);
  response->set_model_age_env_steps(run.model_age_env_steps);
  response->set_env_steps(run.env_steps);
  response->set_training_return(run.training_return);
  response->set_evaluation_return(run.evaluation_return);
  response->set_age_seconds(judged.age_seconds);
  response->set_evidence_log10(judged.evidence_log10);
  response->set_evidence_threshold_log10(judged.evidence_threshold_log10);
  response->set_controller_state(judged.controller_state);
  response->set_advice(judged.advice);
  response->set_checkpoints(judged.checkpoints);
  Encode(judged.directive, judged.ttl_seconds, response->mutable_directive());
}

void Encode(const coadaptation::Directive& directive, double ttl_seconds, v1::Directive* message) {
  message->set_version(directive.version);
  message->set_ttl_seconds(ttl_seconds);
  for (const coadaptation::Setting& from : directive.settings) {
    v1::Setting* to = message->add_settings();
    to->set_knob(static_cast<v1::Knob>(from.knob));
    to->set_value(from.value);
    to->set_safe_value(from.safe_value);
    to->set_reason(from.reason);
    to->set_version(from.version);
  }
}

void Encode(const HistoryPage& page, v1::GetHistoryResponse* response) {
  for (const HistoryCheckpoint& entry : page.checkpoints)
    Encode(entry, response->add_checkpoints());
  for (const HistoryEvent& event : page.events) Encode(event, response->add_events());
  response->set_next_checkpoint(page.next_checkpoint);
  response->set_next_event(page.next_event);
}

absl::StatusOr<coadaptation::Receiver> Decode(v1::Receiver receiver) {
  if (receiver < v1::RECEIVER_POLICY_TRAINER || receiver > v1::RECEIVER_REPLAY_BUFFER) {
    return absl::InvalidArgumentError(
        "set the receiver: policy trainer, model trainer, actor or replay buffer");
  }
  return static_cast<coadaptation::Receiver>(receiver);
}

absl::StatusOr<coadaptation::Knob> Decode(v1::Knob knob) {
  if (knob < v1::KNOB_ROLLOUT_HORIZON || knob > v1::KNOB_ROLLBACK) {
    return absl::InvalidArgumentError("set the knob: one of tandem.monitor.v1.Knob");
  }
  return static_cast<coadaptation::Knob>(knob);
}

absl::StatusOr<Acknowledgement> Decode(const v1::AcknowledgeRequest& request) {
  Acknowledgement ack;
  TANDEM_ASSIGN_OR_RETURN(ack.receiver, Decode(request.receiver()));
  if (request.outcome() < v1::OUTCOME_APPLIED || request.outcome() > v1::OUTCOME_EXPIRED) {
    return absl::InvalidArgumentError("set the outcome: applied, refused or expired");
  }
  ack.member = request.member();
  ack.version = request.version();
  ack.outcome = static_cast<AckOutcome>(request.outcome());
  ack.message = request.message();
  ack.apply_seconds = request.apply_seconds();
  for (const int knob : request.refused()) {
    TANDEM_ASSIGN_OR_RETURN(const coadaptation::Knob refused, Decode(static_cast<v1::Knob>(knob)));
    ack.refused.push_back(refused);
  }
  return ack;
}

}  // namespace tandem::monitor
