// An app host and nothing else: what `banyan-peer` becomes for `process_host`.
#include "actors/host/host_child.hpp"

int main() {
  return banyan::run_host_child();
}
