# Peers on hosts of their own: network namespaces, which need root. Elsewhere
# ctest shows them as skipped, and they say what to run.
add_executable(netns_test netns_main.cpp netns_world.cpp netns_load.cpp
  netns_cuts.cpp netns_processes.cpp netns_lines.cpp netns_disks.cpp
  netns_replace.cpp netns_bits.cpp netns_regions.cpp netns_names.cpp)
target_link_libraries(netns_test
  PRIVATE banyan_warnings banyan_test_support banyan_linear)
foreach(scenario cuts kill_and_pause slow_links full_disk replace bit_flips regions names)
  add_test(NAME netns_${scenario} COMMAND netns_test ${scenario})
  set_tests_properties(netns_${scenario} PROPERTIES LABELS integration
    TIMEOUT 240 SKIP_RETURN_CODE 77)
endforeach()
add_test(NAME failover_cut_smoke COMMAND failover_bench --cut --kills 3)
set_tests_properties(failover_cut_smoke PROPERTIES LABELS integration
  TIMEOUT 120 RUN_SERIAL ON SKIP_RETURN_CODE 77)
