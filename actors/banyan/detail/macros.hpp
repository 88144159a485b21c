#pragma once

// BANYAN_MAP(macro, context, a, b, ...): macro(context, a) macro(context, b)
// ... for 1 to 32 names.

// clang-format off
#define BANYAN_CAT_(a, b) a##b
#define BANYAN_CAT(a, b) BANYAN_CAT_(a, b)
#define BANYAN_COUNT_(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, N, ...) N
#define BANYAN_COUNT(...) BANYAN_COUNT_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BANYAN_MAP_1(m, c, x) m(c, x)
#define BANYAN_MAP_2(m, c, x, ...) m(c, x) BANYAN_MAP_1(m, c, __VA_ARGS__)
#define BANYAN_MAP_3(m, c, x, ...) m(c, x) BANYAN_MAP_2(m, c, __VA_ARGS__)
#define BANYAN_MAP_4(m, c, x, ...) m(c, x) BANYAN_MAP_3(m, c, __VA_ARGS__)
#define BANYAN_MAP_5(m, c, x, ...) m(c, x) BANYAN_MAP_4(m, c, __VA_ARGS__)
#define BANYAN_MAP_6(m, c, x, ...) m(c, x) BANYAN_MAP_5(m, c, __VA_ARGS__)
#define BANYAN_MAP_7(m, c, x, ...) m(c, x) BANYAN_MAP_6(m, c, __VA_ARGS__)
#define BANYAN_MAP_8(m, c, x, ...) m(c, x) BANYAN_MAP_7(m, c, __VA_ARGS__)
#define BANYAN_MAP_9(m, c, x, ...) m(c, x) BANYAN_MAP_8(m, c, __VA_ARGS__)
#define BANYAN_MAP_10(m, c, x, ...) m(c, x) BANYAN_MAP_9(m, c, __VA_ARGS__)
#define BANYAN_MAP_11(m, c, x, ...) m(c, x) BANYAN_MAP_10(m, c, __VA_ARGS__)
#define BANYAN_MAP_12(m, c, x, ...) m(c, x) BANYAN_MAP_11(m, c, __VA_ARGS__)
#define BANYAN_MAP_13(m, c, x, ...) m(c, x) BANYAN_MAP_12(m, c, __VA_ARGS__)
#define BANYAN_MAP_14(m, c, x, ...) m(c, x) BANYAN_MAP_13(m, c, __VA_ARGS__)
#define BANYAN_MAP_15(m, c, x, ...) m(c, x) BANYAN_MAP_14(m, c, __VA_ARGS__)
#define BANYAN_MAP_16(m, c, x, ...) m(c, x) BANYAN_MAP_15(m, c, __VA_ARGS__)
#define BANYAN_MAP_17(m, c, x, ...) m(c, x) BANYAN_MAP_16(m, c, __VA_ARGS__)
#define BANYAN_MAP_18(m, c, x, ...) m(c, x) BANYAN_MAP_17(m, c, __VA_ARGS__)
#define BANYAN_MAP_19(m, c, x, ...) m(c, x) BANYAN_MAP_18(m, c, __VA_ARGS__)
#define BANYAN_MAP_20(m, c, x, ...) m(c, x) BANYAN_MAP_19(m, c, __VA_ARGS__)
#define BANYAN_MAP_21(m, c, x, ...) m(c, x) BANYAN_MAP_20(m, c, __VA_ARGS__)
#define BANYAN_MAP_22(m, c, x, ...) m(c, x) BANYAN_MAP_21(m, c, __VA_ARGS__)
#define BANYAN_MAP_23(m, c, x, ...) m(c, x) BANYAN_MAP_22(m, c, __VA_ARGS__)
#define BANYAN_MAP_24(m, c, x, ...) m(c, x) BANYAN_MAP_23(m, c, __VA_ARGS__)
#define BANYAN_MAP_25(m, c, x, ...) m(c, x) BANYAN_MAP_24(m, c, __VA_ARGS__)
#define BANYAN_MAP_26(m, c, x, ...) m(c, x) BANYAN_MAP_25(m, c, __VA_ARGS__)
#define BANYAN_MAP_27(m, c, x, ...) m(c, x) BANYAN_MAP_26(m, c, __VA_ARGS__)
#define BANYAN_MAP_28(m, c, x, ...) m(c, x) BANYAN_MAP_27(m, c, __VA_ARGS__)
#define BANYAN_MAP_29(m, c, x, ...) m(c, x) BANYAN_MAP_28(m, c, __VA_ARGS__)
#define BANYAN_MAP_30(m, c, x, ...) m(c, x) BANYAN_MAP_29(m, c, __VA_ARGS__)
#define BANYAN_MAP_31(m, c, x, ...) m(c, x) BANYAN_MAP_30(m, c, __VA_ARGS__)
#define BANYAN_MAP_32(m, c, x, ...) m(c, x) BANYAN_MAP_31(m, c, __VA_ARGS__)
#define BANYAN_MAP(m, c, ...) BANYAN_CAT(BANYAN_MAP_, BANYAN_COUNT(__VA_ARGS__))(m, c, __VA_ARGS__)
// clang-format on
