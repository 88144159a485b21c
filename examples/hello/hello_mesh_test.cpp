// The same test on real peers and on simulated ones.
#include "eventually.hpp"
#include "hello.hpp"

namespace {

template <class Mesh>
struct hello_mesh : ::testing::Test {};
TYPED_TEST_SUITE(hello_mesh, meshes);

TYPED_TEST(hello_mesh, any_peer_greets_through_a_kill) {
  TypeParam mesh{3};
  mesh.template add_app<hello>();
  banyan::testing::app_options two;
  two.stateless = true;
  two.instances = 2;
  mesh.deploy("hello", two);
  for (std::size_t n = 0; n < mesh.size(); ++n)
    EXPECT_EQ(*mesh.template call_at<&hello::greet>(n, "-", {"Ann"}),
              "hello, Ann");
  const auto no = mesh.template call<&hello::greet>("-", {});
  ASSERT_FALSE(no.ok());
  EXPECT_EQ(no.error().code, "nobody");
  for (std::size_t n = 0; n < mesh.size(); ++n) { // each was an instance once
    mesh.kill(n);
    const auto by = (n + 1) % mesh.size();
    EXPECT_EQ(*mesh.template call_at<&hello::greet>(by, "-", {"Bob"}),
              "hello, Bob");
    mesh.restart(n);
    mesh.wait_healthy();
  }
}

} // namespace
