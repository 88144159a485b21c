# 1,000 flipped bits: `bitrot_test --rounds 40 --flips 25`; ctest runs a few.
add_executable(bitrot_test bitrot_test.cpp bitrot_judge.cpp damage.cpp)
target_link_libraries(bitrot_test
  PRIVATE banyan_warnings banyan_test_support banyan_store banyan_crypto)
add_test(NAME bitrot_smoke COMMAND bitrot_test --rounds 4 --flips 10)
set_tests_properties(bitrot_smoke PROPERTIES
  LABELS integration TIMEOUT 300)
