#pragma once

#include <span>

namespace tandem::coadaptation {

/// P(X <= x) for a standard normal X. Pure.
double NormalCdf(double x);

/// -log density of `value` under a normal with this mean and standard deviation [nats]. NaN unless
/// the deviation is positive. Pure.
double GaussianNll(double value, double mean, double sd);

/// Continuous ranked probability score of a normal forecast, in the unit of the value (Gneiting and
/// Raftery 2007, eq. 21):
///     sd [ z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi) ],   z = (value - mean) / sd;
/// |value - mean| where sd is 0; NaN where it is negative or a figure is NaN. Lower is better.
/// Pure.
double GaussianCrps(double value, double mean, double sd);

/// Error of calibration of the values of the predictive distribution functions at what happened
/// (probability integral transforms, in [0, 1]): sum over p = .05, .15, ... .95 of (p - share of
/// values <= p)^2 / 10 (after Kuleshov, Fenner and Ermon 2018). 0: calibrated; at most about 0.33.
/// NaN without values or where one is NaN. Pure.
double CalibrationError(std::span<const double> transforms);

/// Share of the values inside the central 90 % interval: within [.05, .95]. 0.9 is calibrated, less
/// is too sure. NaN without values or where one is NaN. Pure.
double Coverage90(std::span<const double> transforms);

/// KL(now || then) between Gaussians with diagonal covariance [nats], the same for the
/// tanh-squashed ones: the map is one to one. All spans [dim]. NaN where a figure is; 0 for dim 0.
/// Pure.
double DiagonalGaussianKl(std::span<const float> now_mean, std::span<const float> now_log_std,
                          std::span<const float> then_mean, std::span<const float> then_log_std);

}  // namespace tandem::coadaptation
