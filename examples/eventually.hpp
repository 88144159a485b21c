#pragma once
#include <banyan/testing.hpp>
#include <gtest/gtest.h>

// For the examples' tests on meshes.

/// Looks every 10 ms of the mesh's time until `f` gives `wanted` or 10 s are
/// over: what was sent arrives soon, not at once.
template <class F, class T>
void eventually(banyan::testing::mesh& mesh, F f, T wanted) {
  for (int i = 0; i < 1000 && f() != wanted; ++i)
    mesh.run_for(std::chrono::milliseconds{10});
  EXPECT_EQ(f(), wanted);
}

using meshes =
    ::testing::Types<banyan::testing::local_mesh, banyan::testing::sim_mesh>;
