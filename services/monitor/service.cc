#include "services/monitor/service.h"

#include "common/rpc/unary_call.h"

namespace tandem::monitor {

void Encode(const Report& report, const JudgeReport& judged, v1::GetReportResponse* response) {
  const coadaptation::Checkpoint& checkpoint = judged.checkpoint;
  response->set_verdict(static_cast<v1::Verdict>(judged.judgement.verdict));
  response->set_sentence(judged.judgement.sentence);
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
  response->set_fresh_steps_scored(report.fresh_steps_scored);
  response->set_fresh_steps_dropped(report.fresh_steps_dropped);
  response->set_model_version(report.model_version);
  response->set_policy_version(report.policy_version);
  response->set_model_age_env_steps(report.model_age_env_steps);
  response->set_policy_lag_updates(report.policy_lag_updates);
  response->set_env_steps(report.env_steps);
  response->set_age_seconds(judged.age_seconds);
  response->set_training_return(report.training_return);
  response->set_evaluation_return(report.evaluation_return);
  response->set_signal(judged.judgement.signal);
  response->set_evidence_log10(judged.evidence_log10);
  response->set_evidence_threshold_log10(judged.evidence_threshold_log10);
  response->set_controller_state(judged.controller_state);
  response->set_advice(judged.advice);
  response->set_checkpoints(judged.checkpoints);
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    (*response->mutable_figures())[field.name] = checkpoint.*field.member;
  }
}

grpc::ServerUnaryReactor* MonitorServiceImpl::GetReport(grpc::CallbackServerContext* context,
                                                        const v1::GetReportRequest*,
                                                        v1::GetReportResponse* response) {
  return rpc::UnaryCall(context, *executor_, [this, response] {
    Encode(core_->GetReport(), judge_->Report(), response);
    return absl::OkStatus();
  });
}

}  // namespace tandem::monitor
