#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/rng.h"
#include "common/clients/testing/frame_listener.h"
#include "tandem/env/v1/env.grpc.pb.h"

namespace tandem::clients {

/// What the scripted server does with the next step.
enum class Sabotage {
  kNone,
  kDropBefore,   ///< Ends the stream without stepping.
  kDropAfter,    ///< Steps, and ends the stream without answering.
  kHang,         ///< Answers nothing until the client gives up.
  kNotFinite,    ///< One environment's observation is NaN.
  kBadFinal,     ///< One environment's episode ends, and the first observation of its next is NaN.
  kShortColumn,  ///< The rewards are too few.
  kBadOutcome,   ///< An outcome that there is not.
  kWrongStepId,  ///< Answers another step.
  kForget,       ///< Forgets the session.
  kLose,         ///< One environment is lost, then absent, then started.
  kGarbage,      ///< Answers what is no message.
  kInternal,     ///< Ends the stream with INTERNAL.
  kSlow,         ///< Takes 1.6 s.
  // In frames alone; a stream of gRPC answers as ever.
  kCutFrame,  ///< Steps, and ends the connection in the middle of its answer.
  kNoFrame,   ///< Answers what is no frame.
};

/// A real server of tandem.env.v1 for tests, of a small environment whose every number depends on
/// all steps before: x' = 0.9 x + action, observation [x, t], reward x', and after 7 steps the
/// episode ends, by termination in even environments and truncation in odd ones. Thread-safe.
class ScriptedEnvServer : public env::v1::VectorEnvService::Service {
 public:
  explicit ScriptedEnvServer(std::string address) : address_(std::move(address)) {}
  ~ScriptedEnvServer() override { Stop(); }

  bool Start();
  /// Cuts every stream and forgets every session: a server that is started anew.
  void Stop();
  void SabotageNext(Sabotage sabotage, int env = 0);
  int64_t steps() const { return steps_; }
  size_t open_sessions() const;
  /// Connections for frames since Start.
  int frame_connections() const { return frames_listener_ ? frames_listener_->connections() : 0; }
  /// How often an environment was to be made anew.
  int64_t restarts() const { return restarts_; }
  /// Changes the description; set before Start.
  std::function<void(env::v1::DescribeResponse*)> edit_description = [](auto*) {};
  int capacity = 64;
  /// Whether it says that it takes frames, and whether it really does; set before Start.
  bool offers_frames = false, takes_frames = false;

 private:
  struct Copy {
    double x = 0;
    int t = 0;
    std::unique_ptr<Rng> rng;
    enum { kRuns, kAbsent, kStarts } state = kRuns;
  };
  struct Session {
    std::vector<Copy> copies;
    uint64_t step_id = 0;
    env::v1::StepResponse last;
  };

  grpc::Status Describe(grpc::ServerContext*, const env::v1::DescribeRequest*,
                        env::v1::DescribeResponse* response) override;
  grpc::Status Open(grpc::ServerContext*, const env::v1::OpenRequest* request,
                    env::v1::OpenResponse* response) override;
  grpc::Status Step(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<env::v1::StepResponse, env::v1::StepRequest>* stream) override;
  grpc::Status Close(grpc::ServerContext*, const env::v1::CloseRequest* request,
                     env::v1::CloseResponse*) override;

  /// A stream of either kind, as the script sees it.
  struct Stream {
    std::function<bool(env::v1::StepRequest*)> read;
    std::function<bool(const env::v1::StepResponse&, Sabotage)> write;
    std::function<bool()> gone;  ///< The client is.
  };
  void ServeFrames(int socket);
  grpc::Status Serve(const Stream& stream);
  grpc::Status Answer(const env::v1::StepRequest& request, Sabotage sabotage,
                      env::v1::StepResponse* response);
  void Reset(Session& session, const env::v1::StepRequest& request);
  void StepAll(Session& session, const env::v1::StepRequest& request, Sabotage sabotage);
  static void Begin(Copy& copy);
  static void AppendRow(const Copy& copy, std::string* column);

  const std::string address_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<FrameListener> frames_listener_;
  std::atomic<int64_t> steps_{0};
  std::atomic<int64_t> restarts_{0};
  std::atomic<bool> stopping_{false};
  mutable Mutex mu_;
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mu_);
  int opened_ ABSL_GUARDED_BY(mu_) = 0;
  Sabotage sabotage_ ABSL_GUARDED_BY(mu_) = Sabotage::kNone;
  std::atomic<int> victim_{0};
};

}  // namespace tandem::clients
