# Warnings are errors. The list is CONTRIBUTING's; a warning that is wrong is silenced where it is wrong.
add_library(tocsin_flags INTERFACE)
target_compile_definitions(tocsin_flags INTERFACE _GNU_SOURCE TOCSIN_VERSION="${PROJECT_VERSION}")
target_include_directories(tocsin_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
target_compile_options(tocsin_flags INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wconversion;-Wsign-conversion;-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes;-Wcast-qual;-Wpointer-arith;-Wformat=2;-Wvla;-Wundef;-Wdouble-promotion;-Wswitch-enum>
  # gcc is what ships; clang builds the fuzz targets and has other opinions.
  $<$<COMPILE_LANG_AND_ID:C,GNU>:-Werror>
  $<$<COMPILE_LANG_AND_ID:C,Clang>:-Wno-double-promotion;-Wno-string-conversion;-Wno-enum-float-conversion;-Wno-format-nonliteral>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Werror>
  -fno-omit-frame-pointer -fno-math-errno)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(tocsin_flags INTERFACE -O2 -g1 -fstack-protector-strong -ffunction-sections -fdata-sections)
  target_compile_definitions(tocsin_flags INTERFACE _FORTIFY_SOURCE=2)
  target_link_options(tocsin_flags INTERFACE -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--as-needed)
else()
  target_compile_options(tocsin_flags INTERFACE -O1 -g1)
endif()
if(TOCSIN_SANITIZE)
  # gcc's own manual: with sanitizers on, its flow analysis finds uninitialised uses that are none.
  target_compile_options(tocsin_flags INTERFACE -fsanitize=${TOCSIN_SANITIZE} -fno-sanitize-recover=all
    $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(tocsin_flags INTERFACE -fsanitize=${TOCSIN_SANITIZE})
endif()
if(TOCSIN_COVERAGE)
  target_compile_options(tocsin_flags INTERFACE --coverage)
  target_link_options(tocsin_flags INTERFACE --coverage)
endif()
if(TOCSIN_FUZZ)
  target_compile_options(tocsin_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(TOCSIN_ASSERT_SLOW)
  target_compile_definitions(tocsin_flags INTERFACE TOCSIN_ASSERT_SLOW=1)
endif()
