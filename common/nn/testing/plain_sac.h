#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "common/nn/actor_critic.h"
#include "common/nn/safetensors.h"
#include "common/nn/testing/networks.h"

namespace tandem::nn::testing {

// A plain, slow SAC in doubles to hold the implementations against: networks of one hidden layer,
// gradients by differences.

struct PlainNet {
  int64_t in, width, out;
  std::vector<double> w0, b0, w1, b1;

  std::vector<double> operator()(const std::vector<double>& x) const {
    std::vector<double> y = b1;
    for (int64_t j = 0; j < width; ++j) {
      double h = b0[j];
      for (int64_t k = 0; k < in; ++k) h += x[k] * w0[k * width + j];
      for (int64_t o = 0; o < out; ++o) y[o] += std::max(h, 0.0) * w1[j * out + o];
    }
    return y;
  }
  std::vector<double*> Parameters() {
    std::vector<double*> all;
    for (auto* part : {&w0, &b0, &w1, &b1}) {
      for (double& x : *part) all.push_back(&x);
    }
    return all;
  }
};

/// Network `network` of those that `file` holds under `prefix`.
inline PlainNet Read(const TensorFile& file, const std::string& prefix, int network, int64_t in,
                     int64_t width, int64_t out) {
  const auto part = [&](const char* name, int64_t size) {
    const std::vector<float>& data = file.tensors.at(prefix + name).data;
    return std::vector<double>(data.begin() + network * size, data.begin() + (network + 1) * size);
  };
  return {in,
          width,
          out,
          part("w0", in * width),
          part("b0", width),
          part("w1", width * out),
          part("b1", out)};
}

/// One update, step by step. `data` outlives it.
class PlainSac {
 public:
  PlainSac(const ActorCriticSpec& spec, const SacOptions& options, const TensorFile& file,
           const SacData& data, std::vector<float> noise)
      : spec_(spec), options_(options), data_(data), noise_(std::move(noise)) {
    const int64_t width = spec.hidden[0];
    actor = Read(file, "actor.", 0, spec.obs_dim, width, 2 * spec.action_dim);
    for (int c = 0; c < 2; ++c) {
      critic[c] = Read(file, "critic.", c, spec.obs_dim + spec.action_dim, width, 1);
      target[c] = Read(file, "target.", c, spec.obs_dim + spec.action_dim, width, 1);
    }
  }

  std::vector<double> Observation(const std::vector<float>& from, int64_t row) const {
    return {from.begin() + row * spec_.obs_dim, from.begin() + (row + 1) * spec_.obs_dim};
  }

  /// Action and log probability with row `noise_row` of the noise.
  std::pair<std::vector<double>, double> Sample(const std::vector<double>& observation,
                                                int64_t noise_row) const {
    const std::vector<double> out = actor(observation);
    std::vector<double> action;
    double log_prob = 0;
    for (int64_t a = 0; a < spec_.action_dim; ++a) {
      const double log_std = std::clamp(out[spec_.action_dim + a], -20.0, 2.0);
      const double e = noise_[noise_row * spec_.action_dim + a];
      action.push_back(std::tanh(out[a] + std::exp(log_std) * e));
      log_prob += -0.5 * e * e - log_std - 0.5 * std::log(2 * std::numbers::pi) -
                  std::log(1 - action.back() * action.back());
    }
    return {action, log_prob};
  }

  static double Q(const PlainNet& net, std::vector<double> observation,
                  const std::vector<double>& action) {
    observation.insert(observation.end(), action.begin(), action.end());
    return net(observation)[0];
  }

  void ComputeTargets() {
    for (int64_t i = 0; i < data_.rows; ++i) {
      const std::vector<double> next = Observation(data_.next, i);
      const auto [action, log_prob] = Sample(next, i);
      const double value = std::min(Q(target[0], next, action), Q(target[1], next, action)) -
                           options_.initial_temperature * log_prob;
      wanted.push_back(data_.rewards[i] + options_.discount * (1 - data_.terminated[i]) * value);
    }
  }

  double CriticLoss() const {
    double loss = 0;
    for (int64_t i = 0; i < data_.rows; ++i) {
      const auto begin = data_.actions.begin() + i * spec_.action_dim;
      const std::vector<double> action(begin, begin + spec_.action_dim);
      for (const PlainNet& net : critic) {
        const double error = Q(net, Observation(data_.observations, i), action) - wanted[i];
        loss += error * error / static_cast<double>(data_.rows);
      }
    }
    return loss;
  }

  double ActorLoss() const {
    double loss = 0;
    for (int64_t i = 0; i < data_.rows; ++i) {
      const std::vector<double> observation = Observation(data_.observations, i);
      const auto [action, log_prob] = Sample(observation, data_.rows + i);
      const double q =
          std::min(Q(critic[0], observation, action), Q(critic[1], observation, action));
      loss += (options_.initial_temperature * log_prob - q) / static_cast<double>(data_.rows);
    }
    return loss;
  }

  double MeanLogProb() const {
    double sum = 0;
    for (int64_t i = 0; i < data_.rows; ++i) {
      sum += Sample(Observation(data_.observations, i), data_.rows + i).second;
    }
    return sum / static_cast<double>(data_.rows);
  }

  template <typename Loss>
  static std::vector<double> Gradient(std::vector<double*> parameters, Loss loss) {
    std::vector<double> gradient;
    for (double* p : parameters) {
      const double kept = *p, step = 1e-6;
      *p = kept + step;
      const double above = loss();
      *p = kept - step;
      gradient.push_back((above - loss()) / (2 * step));
      *p = kept;
    }
    return gradient;
  }

  PlainNet actor, critic[2], target[2];
  std::vector<double> wanted;

 private:
  const ActorCriticSpec spec_;
  const SacOptions options_;
  const SacData& data_;
  const std::vector<float> noise_;
};

}  // namespace tandem::nn::testing
