# banyan_add_app(NAME SOURCES...): builds the module NAME.so, which peers find in
# their --apps folder. NAME is the name of the app's struct.
function(banyan_add_app name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE Banyan::app)
  # Hidden and not unique: two versions of an app in one process keep apart.
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so"
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(${name} PRIVATE
    $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
endfunction()
