// Knows <banyan/app.hpp>, lists no app.
#include <banyan/app.hpp>
