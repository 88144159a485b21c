// run_app FILE APP COMMAND JSON EXPECTED: one turn of a module on a new actor.
#include "actors/host/json.hpp"
#include "actors/host/module.hpp"

#include <iostream>

int main(int argc, char** argv) {
  using namespace banyan;
  if (argc != 6)
    return 2;
  const auto module = load_module(argv[1], argv[2]);
  if (!module) {
    std::cerr << module.error().message << '\n';
    return 1;
  }
  auto runner = module_runner::open(*module, {}).value();
  turn_order o;
  o.actor = "a";
  o.command = argv[3];
  o.argument = json_to_msgpack(argv[4]).value();
  const turn_result r = runner.run(o);
  const std::string got = r.outcome == turn_outcome::ok
                              ? msgpack_to_json(r.answer).value()
                              : r.message;
  std::cout << got << '\n';
  return got == argv[5] ? 0 : 1;
}
