#include "services/monitor/service.h"

#include "common/rpc/unary_call.h"

namespace tandem::monitor {

void Encode(const Report& report, v1::GetReportResponse* response) {
  const coadaptation::Figures& figures = report.figures;
  response->set_verdict(static_cast<v1::Verdict>(report.judgement.verdict));
  response->set_sentence(report.judgement.sentence);
  response->set_index(figures.index);
  response->set_index_reward(figures.index_reward);
  response->set_index_dynamics(figures.index_dynamics);
  response->set_index_termination(figures.index_termination);
  response->set_residual(figures.residual);
  response->set_model_return(figures.model_return);
  response->set_real_return(figures.real_return);
  response->set_return_gap(figures.return_gap);
  response->set_return_scale(figures.return_scale);
  response->set_model_error_ratio(report.model_error_ratio);
  response->set_model_error_fresh(report.model_error_fresh);
  response->set_model_error_heldout(report.model_error_heldout);
  response->set_fresh_steps_scored(report.fresh_steps_scored);
  response->set_fresh_steps_dropped(report.fresh_steps_dropped);
  response->set_model_version(report.model_version);
  response->set_policy_version(report.policy_version);
  response->set_model_age_env_steps(report.model_age_env_steps);
  response->set_policy_lag_updates(report.policy_lag_updates);
  response->set_env_steps(report.env_steps);
  response->set_age_seconds(figures.age_seconds);
  response->set_training_return(report.training_return);
  response->set_evaluation_return(report.evaluation_return);
}

grpc::ServerUnaryReactor* MonitorServiceImpl::GetReport(grpc::CallbackServerContext* context,
                                                        const v1::GetReportRequest*,
                                                        v1::GetReportResponse* response) {
  return rpc::UnaryCall(context, *executor_, [this, response] {
    Encode(core_->GetReport(), response);
    return absl::OkStatus();
  });
}

}  // namespace tandem::monitor
