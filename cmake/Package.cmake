# What `cmake --install` and CPack lay out: the programs, their pages and completions, the unit, the default configuration.
include(GNUInstallDirs)

# For images: the C++ runtime is a tenth of one, and only RE2 and snappy use it.
option(TOCSIN_STATIC_CXX "Link RE2, snappy and the C++ runtime statically" OFF)
if(TOCSIN_STATIC_CXX)
  find_library(RE2_ARCHIVE libre2.a REQUIRED)
  set_property(TARGET PkgConfig::RE2 PROPERTY INTERFACE_LINK_LIBRARIES ${RE2_ARCHIVE})
  get_target_property(wire_libraries tocsin_wire INTERFACE_LINK_LIBRARIES)
  list(TRANSFORM wire_libraries REPLACE "libsnappy[.]so$" "libsnappy.a")
  set_property(TARGET tocsin_wire PROPERTY INTERFACE_LINK_LIBRARIES ${wire_libraries})
  foreach(program tocsin tocsinctl)
    target_link_options(${program} PRIVATE -static-libstdc++ -static-libgcc -Wl,--exclude-libs,ALL -Wl,-z,pack-relative-relocs)
  endforeach()
endif()

# Writes docs/configuration.md out of the tables of the configuration.
add_executable(gen_docs tools/gen_docs.c)
target_link_libraries(gen_docs PRIVATE ${ALL_LIBRARIES})

install(TARGETS tocsin tocsinctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES deploy/systemd/tocsin.service DESTINATION lib/systemd/system)
install(FILES deploy/debian/default DESTINATION /etc/default RENAME tocsin)
install(FILES config/alertmanager.yml DESTINATION /etc/tocsin RENAME tocsin.yml)
install(FILES README.md deploy/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(CODE "execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/CHANGELOG.md OUTPUT_FILE ${PROJECT_BINARY_DIR}/changelog.gz)")
install(FILES ${PROJECT_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY deploy/mixin DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.yml")

# The pages come from the programs' own tables of flags, at the time of installing, so that they cannot be old.
set(PAGES_SCRIPT [[
function(write_from program flag file)
    execute_process(COMMAND ${program} ${flag} OUTPUT_FILE ${file} RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "${program} ${flag}: ${failed}")
    endif()
endfunction()
]])
foreach(program tocsin tocsinctl)
  install(CODE "${PAGES_SCRIPT}
    write_from($<TARGET_FILE:${program}> --help-man ${PROJECT_BINARY_DIR}/${program}.1)
    execute_process(COMMAND gzip -9nf ${PROJECT_BINARY_DIR}/${program}.1)")
  install(FILES ${PROJECT_BINARY_DIR}/${program}.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endforeach()
install(CODE "${PAGES_SCRIPT}
  write_from($<TARGET_FILE:tocsinctl> --completion-script-bash ${PROJECT_BINARY_DIR}/tocsinctl.bash)
  write_from($<TARGET_FILE:tocsinctl> --completion-script-zsh ${PROJECT_BINARY_DIR}/_tocsinctl)")
install(FILES ${PROJECT_BINARY_DIR}/_tocsinctl DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${PROJECT_BINARY_DIR}/tocsinctl.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME tocsinctl)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tocsin)
set(CPACK_PACKAGE_CONTACT "The tocsin maintainers <maintainers@tocsin.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "highly available alert cluster, compatible with Alertmanager")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Receives alerts, groups them, and notifies once by mail, chat, pager or
webhook, whichever of its replicas dies. Reads alertmanager.yml as it is,
speaks Alertmanager's gossip protocol and API, and can replace the members of
a running Alertmanager cluster one at a time. A time series store and a query
engine that open Prometheus's data directory are built in. tocsinctl is its
command line.")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "tzdata, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS procps) # the unit reloads with its kill
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/deploy/debian/conffiles;${PROJECT_SOURCE_DIR}/deploy/debian/postinst;${PROJECT_SOURCE_DIR}/deploy/debian/prerm")
include(CPack)
