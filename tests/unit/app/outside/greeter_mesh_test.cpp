#include "greeter.hpp"

#include <banyan/testing.hpp>

#include <cstdio>
#include <stdexcept>

int main() try {
  banyan::testing::sim_mesh mesh{3};
  mesh.add_app<greeter>();
  mesh.deploy("greeter");
  const auto first = mesh.call(0, "greeter/door", "greet", R"({"name":"ann"})");
  mesh.kill(mesh.leader_of("greeter", "door"));
  mesh.run_for(std::chrono::seconds{1});
  const auto then =
      mesh.call(mesh.any, "greeter/door", "greet", R"({"name":"bob"})");
  if (first.ok() && then.ok() && *then == R"("hello bob, visitor 2")")
    return 0;
  std::fprintf(stderr, "%s\n",
               then.ok() ? then->c_str() : then.error().message.c_str());
  return 1;
} catch (const std::runtime_error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
