#include "common/env/gridworld.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/env/simulation.h"

namespace tandem {
namespace {

constexpr int kUp = 0, kRight = 1, kDown = 2, kStay = 4;

// A one-hot observation of the cell.
std::vector<float> Shown(const Gridworld& grid, Cell cell) {
  std::vector<float> observation(static_cast<size_t>(grid.states()));
  observation[static_cast<size_t>(grid.State(cell))] = 1;
  return observation;
}

class GridworldTest : public testing::Test {
 protected:
  void Make(const std::string& name, const Gridworld& grid) {
    env_ = *MakeSimulation(name);
    grid_ = grid;
    observation_.resize(static_cast<size_t>(grid.states()));
    ASSERT_TRUE(env_->Reset(1, observation_).ok());
  }
  StepResult Go(int action) {
    std::vector<float> scores(static_cast<size_t>(grid_.actions), -1);
    scores[static_cast<size_t>(action)] = 0;
    return *env_->Step(scores, observation_);
  }

  Gridworld grid_;
  std::unique_ptr<Simulation> env_;
  std::vector<float> observation_;
};

TEST_F(GridworldTest, LayoutsSayThatItIsAChoice) {
  Make("gridworld_wall", DetourGrid());
  EXPECT_EQ(env_->observation_layout().leaves()[0].choices, std::vector<int64_t>{225});
  EXPECT_EQ(env_->action_layout().leaves()[0].choices, std::vector<int64_t>{5});
  EXPECT_EQ(env_->observation_layout().flat(), env_->spec().observation);
  EXPECT_EQ(env_->action_layout().flat(), env_->spec().action);
  EXPECT_EQ(env_->spec().max_episode_steps, 100);
  Make("gridworld", SlipperyGrid());
  EXPECT_EQ(env_->observation_layout().leaves()[0].choices, std::vector<int64_t>{100});
  EXPECT_EQ(env_->action_layout().leaves()[0].choices, std::vector<int64_t>{4});
  EXPECT_EQ(env_->spec().max_episode_steps, 200);
}

TEST_F(GridworldTest, TheWayRoundTheWallReachesTheGoalAndStaysThere) {
  Make("gridworld_wall", DetourGrid());
  EXPECT_EQ(observation_, Shown(grid_, {0, 0}));
  for (int i = 0; i < 6; ++i) Go(kRight);
  for (int i = 0; i < 3; ++i) Go(kRight);  // into the wall
  EXPECT_EQ(observation_, Shown(grid_, {0, 6}));
  Go(kUp);  // off the grid
  EXPECT_EQ(observation_, Shown(grid_, {0, 6}));
  for (int i = 0; i < 8; ++i) Go(kDown);
  for (int i = 0; i < 6; ++i) Go(kRight);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Go(kUp).reward, 1);
  EXPECT_EQ(observation_, Shown(grid_, {2, 12}));
  EXPECT_EQ(Go(kStay).reward, 100);
  EXPECT_EQ(Go(kUp).reward, 100);  // by the cell in which the action is taken
  EXPECT_EQ(Go(kStay).reward, 1);
}

TEST_F(GridworldTest, ASlipTakesAUniformAction) {
  Make("gridworld", SlipperyGrid());
  constexpr int kTries = 20000;
  std::map<int, double> shares;
  for (int i = 0; i < kTries; ++i) {
    ASSERT_TRUE(env_->SetState(std::vector<double>{55.0 + 22}, observation_).ok());
    EXPECT_EQ(Go(kRight).reward, 1e-3f);
    shares[static_cast<int>(HighestScore(observation_)) - 77] += 1.0 / kTries;
  }
  EXPECT_EQ(shares.size(), 4u);
  EXPECT_NEAR(shares[1], 0.625, 0.02);
  for (const int by : {-10, -1, 10}) EXPECT_NEAR(shares[by], 0.125, 0.015);
}

TEST_F(GridworldTest, AnObservationIsItsCell) {
  Make("gridworld_wall", DetourGrid());
  ASSERT_TRUE(env_->SetObservation(Shown(grid_, {8, 6})).ok());
  Go(kRight);
  EXPECT_EQ(observation_, Shown(grid_, {8, 7}));
}

TEST_F(GridworldTest, ANumberThatIsNoCellIsAnError) {
  Make("gridworld_wall", DetourGrid());
  for (const double state : {-1.0, 225.0, 1e300}) {
    ASSERT_TRUE(env_->SetState(std::vector<double>{state}, observation_).ok());
    EXPECT_EQ(env_->Step(std::vector<float>(5), observation_).status(),
              absl::InternalError("gridworld_wall: the state is no cell of the grid"));
  }
}

}  // namespace
}  // namespace tandem
