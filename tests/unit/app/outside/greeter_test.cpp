#include "greeter.hpp"

int main() {
  visits v;
  return greeter::greet(v, {"ann"}) == "hello ann, visitor 1" ? 0 : 1;
}
